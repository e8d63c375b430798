"""Time a data pipeline: `wta-seg bench data`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from wtaseg.cli.bench import main_data

if __name__ == '__main__':
    sys.exit(main_data())
