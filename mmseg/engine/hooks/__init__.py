"""Hooks of the runner."""

from .accumulation_hook import GradientAccumulationHook
from .check_dataset_hook import DatasetCheckHook
from .checkpoint_hook import CheckpointHook
from .class_weight_hook import ClassWeightHook
from .early_stopping_hook import EarlyStoppingHook
from .ema_hook import EMAHook
from .feature_cache_hook import FeatureCacheHook
from .freeze_hook import FreezeHook
from .logger_hook import LoggerHook
from .operating_point_hook import OperatingPointHook
from .runtime_info_hook import NonFiniteLossError, RuntimeInfoHook
from .shared_buffers_hook import SharedBuffersHook
from .val_loss_hook import ValLossHook
from .visualization_hook import SegVisualizationHook

__all__ = [
    'CheckpointHook',
    'ClassWeightHook',
    'DatasetCheckHook',
    'EMAHook',
    'EarlyStoppingHook',
    'FeatureCacheHook',
    'FreezeHook',
    'GradientAccumulationHook',
    'LoggerHook',
    'NonFiniteLossError',
    'OperatingPointHook',
    'RuntimeInfoHook',
    'SegVisualizationHook',
    'SharedBuffersHook',
    'ValLossHook',
]
