"""Refuse an optimizer whose settings were merged with those of another type in ``_base_``."""

import inspect
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

_DELETE = '_delete_'


def _optimizer(cfg: Mapping) -> Mapping:
    wrapper = cfg.get('optim_wrapper')
    optimizer = wrapper.get('optimizer') if isinstance(wrapper, Mapping) else None
    return optimizer if isinstance(optimizer, Mapping) else {}


def _remedy(optimizer: Mapping) -> str:
    return f'write optimizer=dict(_delete_=True, type={optimizer.get("type")!r}, lr=…), which takes nothing from _base_'


def check_optimizer(cfg: Mapping) -> None:
    """Refuse settings of ``optim_wrapper.optimizer`` that its class does not take.

    Args:
        cfg: config of an experiment.

    Raises:
        ValueError: names them and the remedy: they usually come from an optimizer of another type in ``_base_``.
    """
    from mmseg.registry import OPTIMIZERS

    optimizer = _optimizer(cfg)
    kind = optimizer.get('type')
    cls = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    if not inspect.isclass(cls):
        return
    parameters = inspect.signature(cls.__init__).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters][1:]
    unknown = [key for key in optimizer if key not in (*known, 'type', '_scope_')]
    if unknown:
        raise ValueError(
            f'optim_wrapper.optimizer: {kind} does not take {", ".join(unknown)}, expected of '
            f'{", ".join(known)}; if they are of the optimizer of another type in _base_, {_remedy(optimizer)}'
        )


def refuse_merged_optimizer(path: Path, cfg: Config) -> None:
    """Refuse a file that changes the type of the optimizer of its ``_base_`` and keeps its other settings.

    Args:
        path: a config file.
        cfg: the config that was read from it.

    Raises:
        ValueError: names file, types and settings.
    """
    text = path.read_text(encoding='utf-8') if path.suffix == '.py' else _DELETE
    optimizer = _optimizer(cfg)
    if 'optim' not in text or _DELETE in text or not optimizer:
        return
    for base in Config._get_base_files(str(path)):
        base = Path(path.parent, str(base))
        if not base.is_file():  # a config of another package
            continue
        base_cfg = Config.fromfile(base)
        refuse_merged_optimizer(base, base_cfg)
        previous = _optimizer(base_cfg)
        changed = previous and previous.get('type') != optimizer.get('type')
        if changed and set(previous) <= set(optimizer):
            kept = ', '.join(f'{key}={optimizer[key]}' for key in previous if optimizer[key] == previous[key])
            raise ValueError(
                f'{path}: the optimizer is {optimizer.get("type")} and in {base.name} {previous.get("type")}, whose '
                f'settings would stay ({kept or "the same keys"}); {_remedy(optimizer)}'
            )
