"""Publish a checkpoint: `wta-seg tools publish-model`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from wtaseg.cli.tools import main_publish_model as main

if __name__ == '__main__':
    sys.exit(main())
