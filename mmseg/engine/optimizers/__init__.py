"""Optimizer wrappers and constructors."""

from .amp_optim_wrapper import AmpOptimWrapper
from .layer_decay_optimizer_constructor import (
    LayerDecayOptimizerConstructor,
    LearningRateDecayOptimizerConstructor,
)

__all__ = ['AmpOptimWrapper', 'LayerDecayOptimizerConstructor', 'LearningRateDecayOptimizerConstructor']
