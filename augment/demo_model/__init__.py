"""The small Stable Diffusion XL that is shipped with this package (``--model demo``), and how it was trained.

``README.md`` in this folder is its model card: data, command, measured quality, and what it is not for.
"""

from pathlib import Path

NAME = 'demo'
"""What ``--model`` calls it."""

WEIGHTS = Path(__file__).with_name('weights')
"""The pipeline in the diffusers layout."""
