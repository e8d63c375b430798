"""PIDNet-L (Xu et al., 2023)."""

_base_ = './pidnet-s.py'

checkpoint = _base_.weights + 'pidnet-l_imagenet1k_20230306-67889109.pth'
model = dict(
    backbone=dict(
        channels=64,
        ppm_channels=112,
        num_stem_blocks=3,
        num_branch_blocks=4,
        init_cfg=dict(checkpoint=checkpoint),
    ),
    decode_head=dict(in_channels=256, channels=256),
)
