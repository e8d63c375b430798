"""What `run_main.sh` runs: `wta-seg batch`, with relative paths counted from the root of the project."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from wtaseg.cli.batch import main

if __name__ == '__main__':
    sys.exit(main(base=Path(sys.path[0])))
