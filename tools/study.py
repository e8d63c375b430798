"""The studies of the published method: `wta-seg study`, with `work_dirs` in the root of the project."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from wtaseg.cli.study import main

if __name__ == '__main__':
    sys.exit(main(base=Path(sys.path[0])))
