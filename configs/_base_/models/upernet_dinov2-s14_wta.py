"""UPerNet on DINOv2 for the three WTA classes, FocalLoss on every head."""

_base_ = ['./upernet_dinov2-s14.py', '../losses/focal.py']

model_name = 'DINOv2 (UPerNet)'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
)
