"""The studies behind the published tables, one command each: ``python tools/study.py losses --project NAME``."""

import sys

from studies.command import main

if __name__ == '__main__':
    sys.exit(main())
