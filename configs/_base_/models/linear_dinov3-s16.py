"""A linear head on the last four layers of a frozen DINOv3 ViT-S/16 (Siméoni et al., 2025). Needs the extra ``timm``."""

_base_ = './linear_dinov2-s14.py'

model = dict(backbone=dict(model_name='vit_small_patch16_dinov3'))
