"""Settings of a run that are refused before it begins, because they would fail later or have no effect."""

import difflib
from collections.abc import Mapping, Sequence

from mmengine.runner import Runner

_COUNTS = ('max_iters', 'max_epochs', 'val_interval')


def check_train_cfg(train_cfg: object) -> None:
    """Refuse lengths and intervals of ``train_cfg`` that are no positive integers.

    Raises:
        ValueError: names key, value and remedy.
    """
    if not isinstance(train_cfg, Mapping):
        return
    for key in _COUNTS:
        value = train_cfg.get(key, 1)
        if type(value) is not int or value < 1:
            remedy = (
                'validate after each interval, or leave out val_cfg' if key == 'val_interval' else 'train'
            )
            raise ValueError(
                f'train_cfg.{key}={value!r}, expected an integer of at least 1; to {remedy}, set '
                f'--cfg-options train_cfg.{key}=N'
            )


def check_save_best(runner: Runner, names: str | Sequence[str] | None) -> None:
    """Refuse a ``save_best`` that the validation does not compute.

    Metrics that do not say what they compute (``metric_names``) are not judged.

    Raises:
        ValueError: names the nearest metric.
    """
    names = [names] if isinstance(names, str) else list(names or ())
    names = [name for name in names if name != 'auto']
    loop = runner.val_loop
    if not names or loop is None:
        return
    metrics = getattr(getattr(loop, 'evaluator', None), 'metrics', [])
    if not metrics or not all(hasattr(metric, 'metric_names') for metric in metrics):
        return
    known = [name for metric in metrics for name in metric.metric_names()]
    known += ['val_loss'] if any(type(hook).__name__ == 'ValLossHook' for hook in runner.hooks) else []
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0)
            raise ValueError(
                f'CheckpointHook: save_best={name!r} is not computed by the validation, expected one of '
                f'{", ".join(known)}; did you mean {near[0]!r}?'
            )
