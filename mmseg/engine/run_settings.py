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

    Of metrics that do not say what they compute (``metric_names``), names are not judged.

    Raises:
        ValueError: names the nearest metric.
    """
    names = [names] if isinstance(names, str) else list(names or ())
    names = [name for name in names if name != 'auto']
    loop = runner.val_loop
    if not names or loop is None:
        return
    metrics = getattr(getattr(loop, 'evaluator', None), 'metrics', [])
    known = [name for metric in metrics if hasattr(metric, 'metric_names') for name in metric.metric_names()]
    if not known:
        return
    # of metrics that do not say what they compute, names of another kind may come: Found.broken beside IoU.broken
    kinds = None
    if not all(hasattr(metric, 'metric_names') for metric in metrics):
        kinds = {name.partition('.')[0] for name in known if '.' in name}
    known += ['val_loss'] if any(type(hook).__name__ == 'ValLossHook' for hook in runner.hooks) else []
    for name in names:
        if name not in known and (kinds is None or name.partition('.')[0] in kinds):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0)
            raise ValueError(
                f'CheckpointHook: save_best={name!r} is not computed by the validation, expected one of '
                f'{", ".join(known)}; did you mean {near[0]!r}?'
            )


def check_test_cfg(model: object) -> None:
    """Refuse a mode of inference that the first validation would fail with.

    Raises:
        ValueError: names key, value and remedy.
    """
    test_cfg = model.get('test_cfg') if isinstance(model, Mapping) else None
    mode = test_cfg.get('mode', 'whole') if isinstance(test_cfg, Mapping) else 'whole'
    if mode not in ('whole', 'slide'):
        raise ValueError(f"model.test_cfg.mode={mode!r}, expected 'slide' or 'whole'")
    windows = test_cfg.get('windows') if isinstance(test_cfg, Mapping) else None
    if windows is not None and (type(windows) is not int or windows < 1):
        raise ValueError(f'model.test_cfg.windows={windows!r}; expected a number of windows of at least 1')
    missing = [key for key in ('crop_size', 'stride') if mode == 'slide' and not test_cfg.get(key)]
    if missing:
        raise ValueError(
            f"model.test_cfg.{missing[0]} is missing, which mode='slide' needs; expected (height, width) in pixels"
        )
