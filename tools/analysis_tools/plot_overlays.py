"""Overlays of a project: `wta-seg report`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from wtaseg.report.overlay_pages import main

if __name__ == '__main__':
    sys.exit(main())
