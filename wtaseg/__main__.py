"""``python -m wtaseg`` is ``wta-seg``."""

import sys

from wtaseg.cli import main

if __name__ == '__main__':
    sys.exit(main())
