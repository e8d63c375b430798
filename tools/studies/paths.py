"""Where things are, and the project's scripts made importable by name, as they import each other."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in ('bash', 'tools/analysis_tools'):
    if str(ROOT / folder) not in sys.path:
        sys.path.insert(0, str(ROOT / folder))
