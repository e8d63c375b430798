"""PSANet for the three WTA classes, FocalLoss on every head."""

_base_ = ['./psanet_r50-d8.py', '../losses/focal.py']

model_name = 'PSANet'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
    auxiliary_head=dict(num_classes=3, loss_decode={**_base_.focal_loss, 'loss_weight': 0.4}),
)
