"""Time the editing method: ``python augment/benchmark.py --size sdxl --resolution 512 --batch 16 --out 512.json``."""

import sys
from pathlib import Path

if __package__ in (None, ''):  # run as a script: Python puts this folder on the path instead of its parent
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == '__main__':
    from augment.bench.command import main

    sys.exit(main())
