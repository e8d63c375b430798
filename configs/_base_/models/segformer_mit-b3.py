"""SegFormer on MiT-B3 (Xie et al., 2021)."""

_base_ = './segformer_mit-b1.py'

checkpoint = _base_.weights + 'mit_b3_20220624-13b1141c.pth'
model = dict(backbone=dict(num_layers=[3, 4, 18, 3], init_cfg=dict(checkpoint=checkpoint)))
