"""SegFormer on MiT-B1 (Xie et al., 2021)."""

_base_ = './segformer_mit-b0.py'

weights = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/'
checkpoint = weights + 'mit_b1_20220624-02e5a6a1.pth'
model = dict(
    backbone=dict(embed_dims=64, init_cfg=dict(type='Pretrained', checkpoint=checkpoint)),
    decode_head=dict(in_channels=[64, 128, 320, 512]),
)
