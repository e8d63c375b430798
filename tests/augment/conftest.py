"""What the tests of ``augment`` share: the tiny Stable Diffusion XL, built once a session."""

from pathlib import Path

import pytest
import torch
from tiny_sdxl import build_tiny_sdxl
from torch.nn import functional

from augment.loading import load_model


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
    """Latents ``(3, 4, 8, 8)`` of three smooth pictures of 64 x 64 pixels."""
    coarse = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return tiny_model.encode_images(functional.interpolate(coarse, size=(64, 64), mode='bilinear'))
