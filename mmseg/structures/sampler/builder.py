"""Builds a pixel sampler from its config."""

from mmseg.registry import TASK_UTILS

from .base_pixel_sampler import BasePixelSampler


def build_pixel_sampler(cfg: dict, **default_args) -> BasePixelSampler:
    """The sampler ``cfg['type']`` names; ``default_args`` (such as ``context``) fill what it leaves out."""
    return TASK_UTILS.build(cfg, default_args=default_args)
