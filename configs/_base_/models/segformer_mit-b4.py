"""SegFormer on MiT-B4 (Xie et al., 2021)."""

_base_ = './segformer_mit-b1.py'

checkpoint = _base_.weights + 'mit_b4_20220624-d588d980.pth'
model = dict(backbone=dict(num_layers=[3, 8, 27, 3], init_cfg=dict(checkpoint=checkpoint)))
