"""Fixtures of the tests of ``augment``: the tiny Stable Diffusion XL, built once a session."""

from pathlib import Path

import pytest
import torch
from tiny_sdxl import build_tiny_sdxl, smooth_images

from augment.diffusion.loading import load_model


@pytest.fixture(scope='session')
def tiny_sdxl_dir(tmp_path_factory) -> Path:
    """Directory of the tiny pipeline; tests must not write into it."""
    return build_tiny_sdxl(tmp_path_factory.mktemp('tiny_sdxl'))


@pytest.fixture(scope='session')
def tiny_model(tiny_sdxl_dir):
    """The tiny pipeline loaded for editing, float32 on the CPU."""
    return load_model(str(tiny_sdxl_dir), device='cpu', dtype='fp32')


@pytest.fixture(scope='session')
def tiny_latents(tiny_model):
    """Latents ``(3, 4, 8, 8)`` of three smooth images of 64 x 64 pixels."""
    return tiny_model.encode_images(smooth_images(3, torch.Generator().manual_seed(5)))
