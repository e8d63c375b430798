"""Metrics of predictions."""

from .metrics import IoUMetric

__all__ = ['IoUMetric']
