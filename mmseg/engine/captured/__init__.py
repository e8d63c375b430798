"""The training step on a GPU: bfloat16, captured in a CUDA graph."""

from .backend import CudaBackend, GraphBackend
from .install import (
    describe_step,
    give_training_step,
    install_training_step,
    join_processes,
    limit_search,
    prepare_for_gpu,
    release_training_step,
)
from .obstacles import obstacle
from .settings import StepSettings
from .step import TrainingStep

__all__ = [
    'CudaBackend',
    'GraphBackend',
    'StepSettings',
    'TrainingStep',
    'describe_step',
    'give_training_step',
    'install_training_step',
    'join_processes',
    'limit_search',
    'obstacle',
    'prepare_for_gpu',
    'release_training_step',
]
