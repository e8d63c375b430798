"""Export a model to ONNX: `wta-seg export`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from wtaseg.cli.export import main

if __name__ == '__main__':
    sys.exit(main())
