"""A linear head on DINOv3 for the three WTA classes, FocalLoss on every head."""

_base_ = ['./linear_dinov3-s16.py', '../losses/focal.py']

model_name = 'DINOv3 (linear)'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
)
