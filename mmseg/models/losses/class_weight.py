"""Class weights: read from a config or a file, or computed from pixel counts."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

#: Value of ``class_weight`` that ``ClassWeightHook`` replaces by :func:`enet_class_weight` of the training labels.
ENET = 'enet'


def get_class_weight(class_weight: Sequence[float] | str | None) -> list[float] | str | None:
    """Class weights from a config value.

    Args:
        class_weight: one number per class; or the path of a .npy, .json, .yaml or .yml file that holds
            them; or ``'enet'``, which is returned as it is and replaced by ``ClassWeightHook`` with weights
            computed from the training labels; or None. Pickles are not read.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it has another suffix, or its content is not a list of finite numbers >= 0.
    """
    if class_weight is None or class_weight == ENET:
        return class_weight
    source = 'class_weight'
    if isinstance(class_weight, str):
        source = f'class_weight file {class_weight}'
        class_weight = _read_weights(Path(class_weight))
    try:
        values = [float(v) for v in class_weight]
    except (TypeError, ValueError):
        raise ValueError(f'{source} must hold one number per class, got {class_weight!r}') from None
    if not values or not all(0 <= v < float('inf') for v in values):
        raise ValueError(f'{source} must hold finite numbers >= 0, one per class, got {values}')
    return values


def _read_weights(path: Path) -> Sequence[float]:
    if path.suffix not in ('.npy', '.json', '.yaml', '.yml'):
        raise ValueError(
            f"class_weight {str(path)!r} is neither 'enet' nor a .npy, .json, .yaml or .yml file; "
            'save the weights as one of those'
        )
    if not path.is_file():
        raise FileNotFoundError(f'class_weight file {path} does not exist; give an existing file or a list')
    try:
        if path.suffix == '.npy':
            return np.load(path, allow_pickle=False).tolist()
        text = path.read_text(encoding='utf-8')
        if path.suffix == '.json':
            return json.loads(text)
        return yaml.safe_load(text)
    except (ValueError, EOFError, RecursionError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise ValueError(
            f'class_weight file {path} can not be read ({reason}); expected a list of numbers, one per class'
        ) from error


def enet_class_weight(frequencies: Sequence[float], c: float = 1.02) -> list[float]:
    """Class weights 1 / ln(c + f), with f the share of a class in all labelled pixels.

    Source: Paszke et al. 2016, "ENet", section 5.2. The constant bounds the weights: with c = 1.02 they
    are between 1.42 (a class that fills every pixel) and 50.5 (a class that never occurs), where weights of
    1 / f would be infinite.

    Args:
        frequencies: pixel counts or shares, one per class; divided by their sum here.
        c: above 1.

    Raises:
        ValueError: if ``c`` <= 1, a frequency is negative or not finite, or all are zero.
    """
    f = np.asarray(frequencies, dtype=np.float64)
    if c <= 1:
        raise ValueError(
            f'enet_class_weight: c must be above 1, so that ln(c) > 0 bounds the weights; got {c}'
        )
    if f.ndim != 1 or not np.isfinite(f).all() or (f < 0).any() or f.sum() == 0:
        raise ValueError(f'enet_class_weight: frequencies must be >= 0 and not all 0, got {frequencies}')
    return (1 / np.log(c + f / f.sum())).tolist()


def check_per_class(name: str, values: Sequence[float], num_classes: int, owner: str) -> None:
    """Raise ``ValueError`` unless there are as many ``values`` as classes."""
    if len(values) != num_classes:
        raise ValueError(
            f'{owner}: {name} has {len(values)} values, the prediction has {num_classes} classes; '
            f'give {num_classes} values, one per class'
        )
