"""ResNeSt-FCN for the three WTA classes, FocalLoss on every head."""

_base_ = ['./fcn_s101-d8.py', '../losses/focal.py']

model_name = 'ResNeSt-FCN'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
    auxiliary_head=dict(num_classes=3, loss_decode={**_base_.focal_loss, 'loss_weight': 0.4}),
)
