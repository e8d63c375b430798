"""The helpers of losses under upstream's module path."""

from .class_weight import get_class_weight
from .reduction import reduce_loss, weight_reduce_loss, weighted_loss

__all__ = ['get_class_weight', 'reduce_loss', 'weight_reduce_loss', 'weighted_loss']
