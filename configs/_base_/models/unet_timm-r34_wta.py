"""U-Net (ResNet-34) for the three WTA classes, FocalLoss on every head."""

_base_ = ['./unet_timm-r34.py', '../losses/focal.py']

model_name = 'U-Net (ResNet-34)'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
)
