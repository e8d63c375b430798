"""U-Net for the three WTA classes, FocalLoss on every head."""

_base_ = ['./fcn_unet_s5-d16.py', '../losses/focal.py']

model_name = 'U-Net'

model = dict(
    data_preprocessor=dict(size=(512, 512), test_cfg=dict(size_divisor=16)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
    auxiliary_head=dict(num_classes=3, loss_decode={**_base_.focal_loss, 'loss_weight': 0.4}),
    test_cfg=dict(_delete_=True, mode='whole'),
)
