"""Hooks of the runner."""

from .checkpoint_hook import CheckpointHook
from .class_weight_hook import ClassWeightHook
from .runtime_info_hook import NonFiniteLossError, RuntimeInfoHook
from .visualization_hook import SegVisualizationHook

__all__ = [
    'CheckpointHook',
    'ClassWeightHook',
    'NonFiniteLossError',
    'RuntimeInfoHook',
    'SegVisualizationHook',
]
