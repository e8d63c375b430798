"""How predictions are judged."""

from .metrics import IoUMetric

__all__ = ['IoUMetric']
