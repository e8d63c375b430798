"""Runner, loops, hooks, optimizers and checkpoints.

Importing this package makes every checkpoint load as tensors and plain values only, and every file
that mmengine writes appear whole.
"""

from .checkpoint_files import AtomicLocalBackend, find_last_whole_checkpoint
from .checkpoint_loading import (
    BrokenCheckpointError,
    UnsafeCheckpointError,
    register_checkpoint_loaders,
    register_safe_globals,
)
from .data_stream import InfiniteSampler
from .hooks import CheckpointHook, ClassWeightHook, NonFiniteLossError, RuntimeInfoHook, SegVisualizationHook
from .loops import IterBasedTrainLoop
from .optimizers import (
    AmpOptimWrapper,
    LayerDecayOptimizerConstructor,
    LearningRateDecayOptimizerConstructor,
)
from .runner import SegRunner, build_runner

register_safe_globals()
register_checkpoint_loaders()

__all__ = [
    'AmpOptimWrapper',
    'AtomicLocalBackend',
    'BrokenCheckpointError',
    'CheckpointHook',
    'ClassWeightHook',
    'InfiniteSampler',
    'IterBasedTrainLoop',
    'LayerDecayOptimizerConstructor',
    'LearningRateDecayOptimizerConstructor',
    'NonFiniteLossError',
    'RuntimeInfoHook',
    'SegRunner',
    'SegVisualizationHook',
    'UnsafeCheckpointError',
    'build_runner',
    'find_last_whole_checkpoint',
]
