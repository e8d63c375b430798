"""Where the project and its results are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
