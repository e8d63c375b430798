"""DDRNet-23 for the three WTA classes, FocalLoss on both branches."""

_base_ = ['./ddrnet_23.py', '../losses/focal.py']

model_name = 'DDRNet-23'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=3, loss_decode=dict(_delete_=True, **_base_.focal_loss), spatial_weight=0.4),
)
