"""Feature extractors."""

from .beit import BEiT
from .bisenetv1 import BiSeNetV1
from .bisenetv2 import BiSeNetV2
from .convnext import ConvNeXt
from .ddrnet import DDRNet
from .fast_scnn import FastSCNN
from .hrnet import HRNet
from .mit import MixVisionTransformer
from .mobilenet_v3 import MobileNetV3
from .pidnet import PIDNet
from .resnest import ResNeSt
from .resnet import ResNet, ResNetV1c, ResNetV1d
from .timm_backbone import TIMMBackbone
from .timm_vit import TIMMVisionTransformer
from .unet import UNet
from .vit import VisionTransformer

__all__ = [
    'BEiT',
    'BiSeNetV1',
    'BiSeNetV2',
    'ConvNeXt',
    'DDRNet',
    'FastSCNN',
    'HRNet',
    'MixVisionTransformer',
    'MobileNetV3',
    'PIDNet',
    'ResNeSt',
    'ResNet',
    'ResNetV1c',
    'ResNetV1d',
    'TIMMBackbone',
    'TIMMVisionTransformer',
    'UNet',
    'VisionTransformer',
]
