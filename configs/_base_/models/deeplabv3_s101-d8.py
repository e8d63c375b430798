"""DeepLabV3 on ResNeSt-101."""

_base_ = ['./deeplabv3_r50-d8.py', './resnest101_d8.py']

model = dict(pretrained=_base_.resnest_weights, backbone=_base_.resnest)
