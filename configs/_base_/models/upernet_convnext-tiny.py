"""UPerNet on ConvNeXt-T (Liu et al., 2022)."""

_base_ = './upernet_convnext.py'

checkpoint = _base_.weights + 'convnext-tiny_3rdparty_32xb128-noema_in1k_20220301-795e9634.pth'
model = dict(
    backbone=dict(arch='tiny', init_cfg=dict(checkpoint=checkpoint)),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
)
