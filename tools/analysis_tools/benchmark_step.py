"""Time a training step: `wta-seg bench train`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from wtaseg.cli.bench import main_train

if __name__ == '__main__':
    sys.exit(main_train())
