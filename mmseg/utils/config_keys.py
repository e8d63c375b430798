"""Find keys of ``--cfg-options`` that would have no effect.

mmengine merges any key into a config. A misspelt one, or a variable that the config's parts were built from before the
options were read (``data_root``, ``optimizer``), changes nothing.
"""

import difflib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch.utils.data import DataLoader

#: Top-level keys that are read beside the arguments of the runner.
_READ_BESIDE = (
    'allow_partial',
    'augmentation',
    'auto_scale_lr',
    'compile',
    'custom_imports',
    'find_unused_parameters',
    'frozen_layers',
    'init_from',
    'model_name',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
    'training_step',
    'tta_model',
    'tta_pipeline',
)
_OF_DATALOADERS = (
    'batch_sampler',
    'collate_fn',
    'dataset',
    'disable_subprocess_warning',
    'num_batch_per_epoch',
    'sampler',
    'worker_init_fn',
)
#: Beyond the arguments of the class: what builders take out of a typed dict before they call it.
_OF_BUILDERS = {
    '': {'_scope_', 'priority'},
    'optim_wrapper': {'constructor', 'paramwise_cfg', 'optimizer'},
    'param_scheduler': {'by_epoch', 'convert_to_iter_based', 'epoch_length'},
}
_HOOKS = ('timer', 'logger', 'param_scheduler', 'checkpoint', 'sampler_seed', 'runtime_info', 'visualization')
_NEAR = 0.75


def name_evaluators(cfg: Config, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options in which ``val_evaluator.iou_metrics``, of one evaluator, is a key of the first of several.

    Args:
        cfg: the config before the options are merged into it.
        options: values by dotted key.
    """
    named = {}
    for option, value in options.items():
        name, _, rest = option.partition('.')
        several = name in ('val_evaluator', 'test_evaluator') and isinstance(cfg.get(name), list | tuple)
        if several and rest and not rest.partition('.')[0].lstrip('-').isdigit():
            option = f'{name}.0.{rest}'
        named[option] = value
    return named


def check_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Refuse options without an effect.

    Args:
        cfg: the config before the options are merged into it.
        options: values by dotted key.

    Raises:
        ValueError: a key is unknown or has no effect; names it and the nearest keys that have one.
    """
    effective = {key for key in cfg if _is_read(cfg, key)}
    paths = [path for key in effective for path in _paths(cfg[key], key)]
    for option in options:
        parts = option.split('.')
        if not _is_read(cfg, parts[0]):
            state = 'has no effect: the config has used it already' if parts[0] in cfg else 'is unknown'
            raise _error(option, state, _same_ending(parts, paths) or _near(option, [*paths, *_top_level()]))
        problem = _unknown_part(cfg, parts)
        if problem is not None:
            index, known = problem
            prefix = '.'.join(parts[:index])
            near = [f'{prefix}.{name}' for name in difflib.get_close_matches(parts[index], known, 3, 0.6)]
            raise _error(option, 'is unknown', near or _same_ending(parts, paths) or _near(option, paths))


def _error(option: str, state: str, near: list[str]) -> ValueError:
    remedy = f'; nearest: {", ".join(near)}' if near else '; print the config to see its keys'
    if option.rpartition('.')[2] == 'data_root':
        remedy += '; --data DIR sets all of them'
    return ValueError(f'--cfg-options: {option} {state}{remedy}')


def _top_level() -> set[str]:
    return {*inspect.signature(Runner.__init__).parameters, *_READ_BESIDE} - {'self', 'cfg'}


def _is_read(cfg: Config, key: str) -> bool:
    """Whether a top-level key has an effect; code of the user's own may read any."""
    own_code = key in cfg and (cfg.get('custom_imports') or cfg.get('custom_hooks') or cfg.get('runner_type'))
    return key in _top_level() or bool(own_code)


def _paths(node: Any, prefix: str) -> Iterator[str]:
    """Dotted keys of a part of a config, its own first."""
    yield prefix
    items = (
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else ()
    )
    for key, value in items:
        yield from _paths(value, f'{prefix}.{key}')


def _same_ending(parts: list[str], paths: list[str]) -> list[str]:
    """Keys that end as an option does, for the longest ending that any has; at most three."""
    for start in range(len(parts)):
        ending = '.'.join(parts[start:])
        if matches := [path for path in paths if path == ending or path.endswith(f'.{ending}')]:
            return sorted(matches, key=lambda path: (path.count('.'), not path.startswith('train')))[:3]
    return []


def _near(option: str, paths: list[str]) -> list[str]:
    return difflib.get_close_matches(option, paths, 3, 0.6)


def _unknown_part(cfg: Config, parts: list[str]) -> tuple[int, list[str]] | None:
    """Index of the first part of a key that its parent can not have, and what the parent can; None: all are known."""
    node: Any = cfg._cfg_dict
    for index, part in enumerate(parts):
        if isinstance(node, list | tuple):
            if not part.lstrip('-').isdigit() or not -len(node) <= int(part) < len(node):
                return index, [str(place) for place in range(len(node))]
            node = node[int(part)]
            continue
        if not isinstance(node, dict):
            return None  # the option replaces a plain value
        if part not in node and part not in ('_delete_', 'type'):
            known, complete = _arguments(node, parts[:index])
            names = sorted({*known, *node})
            if part not in names and (complete or difflib.get_close_matches(part, names, 1, _NEAR)):
                return index, names
            return None
        node = node.get(part)
    return None


def _arguments(node: Mapping, path: list[str]) -> tuple[set[str], bool]:
    """What a dict of a config can hold, and whether that is all."""
    if not path:
        return _top_level(), False
    if path[-1].endswith('_dataloader'):
        return {*inspect.signature(DataLoader.__init__).parameters, *_OF_DATALOADERS} - {'self'}, True
    if path == ['env_cfg']:
        return {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'}, False
    if path == ['training_step']:
        return {'capture', 'channels_last', 'data', 'dtype'}, True
    if path == ['randomness']:
        return {'seed', 'diff_rank_seed', 'deterministic'}, True
    if path[-1] in ('test_cfg', 'train_cfg') and path[0] == 'model':
        return {'mode', 'crop_size', 'stride', 'windows'}, False
    if path == ['default_hooks']:
        from mmseg.engine.runner import DEFAULT_HOOKS

        return {*_HOOKS, *DEFAULT_HOOKS}, False
    cls = _find_class(node.get('type'))
    names, complete = _parameters(cls) if cls is not None else (set(), False)
    return names | _OF_BUILDERS[''] | _OF_BUILDERS.get(path[0], set()), complete


def _find_class(kind: Any) -> type | None:
    """The class of a ``type``, searched in all registries of the project and of mmengine; None: not one of them."""
    if not isinstance(kind, str):
        return kind if inspect.isclass(kind) else None
    import mmengine.registry

    import mmseg.registry

    modules = (mmseg.registry, mmengine.registry)
    if kind.startswith('mmengine.'):
        modules = modules[1:]
    for module in modules:
        for registry in vars(module).values():
            if isinstance(registry, Registry):
                cls = registry.get(kind.rpartition('.')[2])
                if inspect.isclass(cls):
                    return cls
    return None


def _parameters(cls: type) -> tuple[set[str], bool]:
    """Names that a constructor takes, also through ``**kwargs``, and whether it takes no others."""
    names: set[str] = set()
    for base in cls.__mro__:
        init = vars(base).get('__init__')
        if init is None or base is object:
            continue
        parameters = inspect.signature(init).parameters.values()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names - {'self'}, True
    return names - {'self'}, False
