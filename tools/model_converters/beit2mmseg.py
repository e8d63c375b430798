"""BEiT's released weights for BEiT: ``python tools/model_converters/beit2mmseg.py SRC DST``."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from mmseg.models.utils.weight_conversion import convert_beit, main

if __name__ == '__main__':
    sys.exit(main(convert_beit, __doc__))
