"""SegFormer on MiT-B5 (Xie et al., 2021)."""

_base_ = './segformer_mit-b1.py'

checkpoint = _base_.weights + 'mit_b5_20220624-658746d9.pth'
model = dict(backbone=dict(num_layers=[3, 6, 40, 3], init_cfg=dict(checkpoint=checkpoint)))
