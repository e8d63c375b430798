"""LR-ASPP on MobileNetV3-Large for the three WTA classes, FocalLoss."""

_base_ = ['./lraspp_m-v3-d8.py', '../losses/focal.py']

model_name = 'MobileNetV3'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    pretrained='open-mmlab://contrib/mobilenet_v3_large',
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
)
