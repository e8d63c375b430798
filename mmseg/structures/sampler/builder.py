"""Builds a pixel sampler from its config."""

from mmseg.registry import TASK_UTILS

from .base_pixel_sampler import BasePixelSampler


def build_pixel_sampler(cfg: dict, **default_args) -> BasePixelSampler:
    """The sampler of type ``cfg['type']``; ``default_args`` (such as ``context``) are used where ``cfg`` has no value."""
    return TASK_UTILS.build(cfg, default_args=default_args)
