"""What a decode head learns from."""

from .accuracy import Accuracy, accuracy
from .boundary_loss import BoundaryLoss
from .cross_entropy_loss import CrossEntropyLoss, binary_cross_entropy, cross_entropy, mask_cross_entropy
from .dice_loss import DiceLoss
from .focal_loss import FocalLoss
from .lovasz_loss import LovaszLoss
from .ohem_cross_entropy_loss import OhemCrossEntropy
from .tversky_loss import FocalTverskyLoss, TverskyLoss
from .unified_focal_loss import UnifiedFocalLoss
from .utils import (
    ClassWeightedLoss,
    enet_class_weight,
    get_class_weight,
    reduce_loss,
    weight_reduce_loss,
    weighted_loss,
)

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
