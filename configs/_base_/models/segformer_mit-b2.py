"""SegFormer on MiT-B2 (Xie et al., 2021)."""

_base_ = './segformer_mit-b1.py'

checkpoint = _base_.weights + 'mit_b2_20220624-66e8bf70.pth'
model = dict(backbone=dict(num_layers=[3, 4, 6, 3], init_cfg=dict(checkpoint=checkpoint)))
