"""Fit a model's config to the classes of a dataset: heads, FocalLoss alpha, input channels."""

import copy
import math
from collections.abc import Sequence
from numbers import Real

from .loss_config import model_heads
from .walk import config_dicts

#: Constants of :func:`focal_alpha`, fitted to the published alpha.
ALPHA_DECADES, ALPHA_POWER = 2.2, 3.4
#: A rarer class counts as if it had this share.
LEAST_SHARE = 1e-6


def focal_alpha(shares: Sequence[float]) -> list[float]:
    """FocalLoss alpha of each class from its share of the pixels, rounded to two decimals.

    A class of share p has the weight 1 + (log10(1/p) / 2.2) ** 3.4, and alpha is the weight divided by the sum of
    all weights. The rule extends the published choice: the published shares of 99.77, 0.2 and 0.03 percent give the
    published [0.1, 0.3, 0.6]. A rarer class never has a smaller alpha; two classes never differ by more than a factor of
    31.3 before rounding, since shares below one millionth count as one millionth; equal shares give equal alpha.

    Args:
        shares: share of the labelled pixels of each class, or their numbers of pixels; only ratios count.

    Raises:
        ValueError: a share is negative, or all are 0.
    """
    total = sum(shares)
    if total <= 0 or min(shares) < 0:
        raise ValueError(f'class shares {list(shares)}: expected numbers >= 0, at least one of them > 0')
    fractions = [max(share / total, LEAST_SHARE) for share in shares]
    weights = [1 + (-math.log10(fraction) / ALPHA_DECADES) ** ALPHA_POWER for fraction in fractions]
    return [max(0.01, round(weight / sum(weights), 2)) for weight in weights]


def set_classes(model: dict, classes: Sequence[str], shares: Sequence[float] | None = None) -> None:
    """Give every head of a model's config the number of ``classes``; in place.

    Args:
        model: config of a segmentor.
        classes: names of the classes; only their number counts.
        shares: share of the pixels of each class, from which alpha of every ``FocalLoss`` follows, see
            :func:`focal_alpha`; None: a list of alpha must have one value per class already.

    Raises:
        ValueError: ``shares``, or without them a list of alpha, has another length than ``classes``.
    """
    if shares is not None and len(shares) != len(classes):
        raise ValueError(f'{len(shares)} class shares for {len(classes)} classes {tuple(classes)}')
    for head in model_heads(model):
        head['num_classes'] = len(classes)
        for loss in config_dicts(head.get('loss_decode')):
            if loss.get('type') != 'FocalLoss':
                continue
            alpha = loss.get('alpha')
            if shares is not None:
                loss['alpha'] = focal_alpha(shares)
            elif alpha is not None and not isinstance(alpha, Real) and len(alpha) != len(classes):
                raise ValueError(
                    f'FocalLoss alpha={list(alpha)} for {len(classes)} classes {tuple(classes)}; '
                    'give shares, or one alpha per class'
                )


def with_classes(
    model: dict, classes: Sequence[str], shares: Sequence[float] | None = None, **changes: object
) -> dict:
    """The ``model`` of a config file: that of its base, fitted to the classes of its dataset.

    Put ``_base_`` above the import; otherwise mmengine takes the file for one of its lazy configs.

    Args:
        model: config of a segmentor; it is not changed.
        classes: names of the classes.
        shares: share of the pixels of each class, see :func:`set_classes`.
        changes: further keys of the model; dicts are merged into those of ``model``.

    Example:
        >>> _base_ = ['../_base_/models/fast_scnn_wta.py', '../_base_/datasets/my_parts.py']
        >>> from mmseg.utils.class_config import with_classes
        >>> model = with_classes(_base_.model, _base_.metainfo['classes'], _base_.class_shares)

    Returns:
        A copy of ``model`` that replaces the one of the base file as a whole.
    """
    result = copy.deepcopy(dict(model))
    set_classes(result, classes, shares)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = {**result[key], **value}
        else:
            result[key] = value
    return {'_delete_': True, **result}
