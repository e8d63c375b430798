"""U-Net and U-Net++ of segmentation_models_pytorch, trained, for TIMMBackbone with UnetHead or UnetPlusPlusHead:
``python tools/model_converters/smp2mmseg.py SRC DST``."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from mmseg.models.utils.smp_conversion import convert_smp
from mmseg.models.utils.weight_conversion import main

if __name__ == '__main__':
    sys.exit(main(convert_smp, __doc__))
