"""Metrics of semantic segmentation."""

from .inspection_metric import InspectionMetric
from .iou_metric import IoUMetric

__all__ = ['InspectionMetric', 'IoUMetric']
