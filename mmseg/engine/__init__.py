"""Runner, loops, hooks, optimizers and checkpoints."""

from mmseg.utils.checkpoint_reading import BrokenCheckpointError, UnsafeCheckpointError

from .checkpoint_files import find_last_whole_checkpoint
from .checkpoint_fit import CheckpointMismatchError
from .checkpoint_loading import load_checkpoint, read_checkpoint
from .data_stream import InfiniteSampler
from .hooks import (
    CheckpointHook,
    ClassWeightHook,
    EarlyStoppingHook,
    EMAHook,
    FeatureCacheHook,
    FreezeHook,
    GradientAccumulationHook,
    LoggerHook,
    NonFiniteLossError,
    OperatingPointHook,
    RuntimeInfoHook,
    SegVisualizationHook,
    SharedBuffersHook,
    ValLossHook,
)
from .loops import IterBasedTrainLoop
from .optimizers import (
    AmpOptimWrapper,
    LayerDecayOptimizerConstructor,
    LearningRateDecayOptimizerConstructor,
)
from .runner import SegRunner, build_runner
from .weight_average import WarmUpEMA

__all__ = [
    'AmpOptimWrapper',
    'BrokenCheckpointError',
    'CheckpointHook',
    'CheckpointMismatchError',
    'ClassWeightHook',
    'EMAHook',
    'EarlyStoppingHook',
    'FeatureCacheHook',
    'FreezeHook',
    'GradientAccumulationHook',
    'InfiniteSampler',
    'IterBasedTrainLoop',
    'LayerDecayOptimizerConstructor',
    'LearningRateDecayOptimizerConstructor',
    'LoggerHook',
    'NonFiniteLossError',
    'OperatingPointHook',
    'RuntimeInfoHook',
    'SegRunner',
    'SegVisualizationHook',
    'SharedBuffersHook',
    'UnsafeCheckpointError',
    'ValLossHook',
    'WarmUpEMA',
    'build_runner',
    'find_last_whole_checkpoint',
    'load_checkpoint',
    'read_checkpoint',
]
