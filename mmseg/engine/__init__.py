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
    LoggerHook,
    NonFiniteLossError,
    OperatingPointHook,
    RuntimeInfoHook,
    SegVisualizationHook,
    ValLossHook,
)
from .loops import IterBasedTrainLoop
from .optimizers import (
    AmpOptimWrapper,
    LayerDecayOptimizerConstructor,
    LearningRateDecayOptimizerConstructor,
)
from .runner import SegRunner, build_runner

__all__ = [
    'AmpOptimWrapper',
    'BrokenCheckpointError',
    'CheckpointHook',
    'CheckpointMismatchError',
    'ClassWeightHook',
    'EarlyStoppingHook',
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
    'UnsafeCheckpointError',
    'ValLossHook',
    'build_runner',
    'find_last_whole_checkpoint',
    'load_checkpoint',
    'read_checkpoint',
]
