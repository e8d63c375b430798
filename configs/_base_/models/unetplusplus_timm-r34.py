"""U-Net++ (Zhou et al., 2018) on timm's ResNet-34, as in segmentation_models_pytorch. Needs the extra ``timm``."""

_base_ = './unet_timm-r34.py'

model = dict(decode_head=dict(type='UnetPlusPlusHead'))
