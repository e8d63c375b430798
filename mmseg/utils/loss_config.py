"""Swap the loss of a model's config: one call for all heads, each of which keeps its share of the sum."""

import copy
from collections.abc import Iterator, Sequence


def model_heads(model: dict) -> Iterator[dict]:
    """The config of every decode head and auxiliary head of a model's config."""
    for key in ('decode_head', 'auxiliary_head'):
        part = model.get(key)
        if part:
            yield from part if isinstance(part, (list, tuple)) else [part]


def set_loss(model: dict, loss: dict | Sequence[dict]) -> None:
    """Give every head of a model's config this loss, or the sum of these; in place.

    A head's ``loss_weight`` (of its first loss, where it has several) stays its weight in the sum of all heads: it
    is multiplied with the ``loss_weight`` of the new loss.

    Raises:
        ValueError: no loss, or one without a ``type``.
    """
    losses = [loss] if isinstance(loss, dict) else list(loss)
    if not losses or not all(isinstance(item, dict) and 'type' in item for item in losses):
        raise ValueError(f"set_loss takes dict(type='…', …) or a list of such dicts, got {loss!r}")
    for head in model_heads(model):
        current = head.get('loss_decode') or {}
        first = current[0] if isinstance(current, (list, tuple)) else current
        share = first.get('loss_weight', 1.0)
        new = [
            {**copy.deepcopy(item), 'loss_weight': item.get('loss_weight', 1.0) * share} for item in losses
        ]
        head['loss_decode'] = new if len(new) > 1 else new[0]


def with_loss(model: dict, loss: dict | Sequence[dict]) -> dict:
    """The ``model`` of a config file that differs from its base in the loss alone, see :func:`set_loss`.

    Put ``_base_`` above the import; otherwise mmengine takes the file for one of its lazy configs.

    Example:
        >>> _base_ = ['./fast_scnn_4xb4-40k_wta-512x512.py', '../_base_/losses/cross_entropy.py']
        >>> from mmseg.utils.loss_config import with_loss
        >>> model = with_loss(_base_.model, _base_.cross_entropy_loss)

    Returns:
        A copy of ``model`` that replaces the one of the base file as a whole.
    """
    result = copy.deepcopy(dict(model))
    set_loss(result, loss)
    return {'_delete_': True, **result}
