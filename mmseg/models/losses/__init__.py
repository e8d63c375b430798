"""Losses of decode heads, and the accuracy that is logged beside them."""

from .accuracy import Accuracy, accuracy
from .base import ClassWeightedLoss, SegmentationLoss
from .boundary_loss import BoundaryLoss
from .class_weight import enet_class_weight, get_class_weight
from .cross_entropy_loss import CrossEntropyLoss, binary_cross_entropy, cross_entropy, mask_cross_entropy
from .dice_loss import DiceLoss
from .focal_loss import FocalLoss
from .lovasz_loss import LovaszLoss
from .ohem_cross_entropy_loss import OhemCrossEntropy
from .reduction import reduce_loss, weight_reduce_loss, weighted_loss
from .tversky_loss import FocalTverskyLoss, TverskyLoss
from .unified_focal_loss import UnifiedFocalLoss

__all__ = [
    'Accuracy',
    'BoundaryLoss',
    'ClassWeightedLoss',
    'CrossEntropyLoss',
    'DiceLoss',
    'FocalLoss',
    'FocalTverskyLoss',
    'LovaszLoss',
    'OhemCrossEntropy',
    'SegmentationLoss',
    'TverskyLoss',
    'UnifiedFocalLoss',
    'accuracy',
    'binary_cross_entropy',
    'cross_entropy',
    'enet_class_weight',
    'get_class_weight',
    'mask_cross_entropy',
    'reduce_loss',
    'weight_reduce_loss',
    'weighted_loss',
]
