"""Hooks of the runner."""

from .check_dataset_hook import DatasetCheckHook
from .checkpoint_hook import CheckpointHook
from .class_weight_hook import ClassWeightHook
from .logger_hook import LoggerHook
from .operating_point_hook import OperatingPointHook
from .runtime_info_hook import NonFiniteLossError, RuntimeInfoHook
from .visualization_hook import SegVisualizationHook

__all__ = [
    'CheckpointHook',
    'ClassWeightHook',
    'DatasetCheckHook',
    'LoggerHook',
    'NonFiniteLossError',
    'OperatingPointHook',
    'RuntimeInfoHook',
    'SegVisualizationHook',
]
