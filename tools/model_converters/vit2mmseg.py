"""timm's ViT and DeiT weights for VisionTransformer: ``python tools/model_converters/vit2mmseg.py SRC DST``."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from mmseg.models.utils.weight_conversion import convert_vit, main

if __name__ == '__main__':
    sys.exit(main(convert_vit, __doc__))
