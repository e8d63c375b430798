"""Metrics of predictions."""

from .metrics import InspectionMetric, IoUMetric

__all__ = ['InspectionMetric', 'IoUMetric']
