"""Hugging Face's SegFormer for MixVisionTransformer and SegformerHead with ``linear_projection=True``:
``python tools/model_converters/segformer2mmseg.py SRC DST``."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from mmseg.models.utils.segformer_conversion import convert_segformer
from mmseg.models.utils.weight_conversion import main

if __name__ == '__main__':
    sys.exit(main(convert_segformer, __doc__))
