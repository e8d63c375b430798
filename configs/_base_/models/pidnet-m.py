"""PIDNet-M (Xu et al., 2023)."""

_base_ = './pidnet-s.py'

checkpoint = _base_.weights + 'pidnet-m_imagenet1k_20230306-39893c52.pth'
model = dict(
    backbone=dict(channels=64, init_cfg=dict(checkpoint=checkpoint)),
    decode_head=dict(in_channels=256),
)
