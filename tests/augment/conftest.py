"""What the tests of ``augment`` share: the tiny Stable Diffusion XL, built once a session."""

from pathlib import Path

import pytest
from tiny_sdxl import build_tiny_sdxl


@pytest.fixture(scope='session')
def tiny_sdxl_dir(tmp_path_factory) -> Path:
    """Directory of the tiny pipeline; tests must not write into it."""
    return build_tiny_sdxl(tmp_path_factory.mktemp('tiny_sdxl'))
