"""The older functions and registry names for building models; new code calls ``MODELS.build(cfg)``."""

import warnings

from torch import nn

from mmseg.registry import MODELS

BACKBONES = NECKS = HEADS = LOSSES = SEGMENTORS = MODELS


def _build(cfg: dict, name: str) -> nn.Module:
    warnings.warn(f'{name} is the older form of MODELS.build', DeprecationWarning, stacklevel=3)
    return MODELS.build(cfg)


def build_backbone(cfg: dict) -> nn.Module:
    """``MODELS.build`` of a backbone."""
    return _build(cfg, 'build_backbone')


def build_neck(cfg: dict) -> nn.Module:
    """``MODELS.build`` of a neck."""
    return _build(cfg, 'build_neck')


def build_head(cfg: dict) -> nn.Module:
    """``MODELS.build`` of a head."""
    return _build(cfg, 'build_head')


def build_loss(cfg: dict) -> nn.Module:
    """``MODELS.build`` of a loss."""
    return _build(cfg, 'build_loss')


def build_segmentor(cfg: dict, train_cfg: dict | None = None, test_cfg: dict | None = None) -> nn.Module:
    """``MODELS.build`` of a segmentor, with ``train_cfg`` and ``test_cfg`` from outside the model's config.

    Raises:
        ValueError: one of the two is given in both places.
    """
    given = {
        key: value for key, value in (('train_cfg', train_cfg), ('test_cfg', test_cfg)) if value is not None
    }
    twice = [key for key in given if cfg.get(key) is not None]
    if twice:
        raise ValueError(
            f'{twice} given to build_segmentor and in the model config; keep the one in the config'
        )
    return _build({**cfg, **given}, 'build_segmentor')
