"""Makes the scripts importable by name, as they import each other."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ('bash', 'tools/analysis_tools', 'tools/dataset_tools')]
# last, since tools/test.py has the name of a module of Python's own
sys.path.append(str(ROOT / 'tools'))
