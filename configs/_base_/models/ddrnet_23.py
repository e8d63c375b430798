"""DDRNet-23 (Hong et al., 2021)."""

_base_ = './ddrnet_23-slim.py'

checkpoint = _base_.weights + 'ddrnet23-in1kpre_3rdparty-9ca29f62.pth'
model = dict(
    backbone=dict(channels=64, init_cfg=dict(checkpoint=checkpoint)),
    decode_head=dict(in_channels=256, channels=128),
)
