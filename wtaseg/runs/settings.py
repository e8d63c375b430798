"""What an experiment is trained and tested with, and whether that has changed since an earlier run."""

import json
import threading
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from pathlib import Path

from mmengine.config import Config, DictAction

from wtaseg.runs.layout import CHECKPOINTS

# Parts of a config that only the test reads: a change in them requires a new test, not a new training.
TEST_ONLY = ('test_', 'tta_')
# Parts that say where and how a run is logged and what it is called, not what it computes.
IGNORED = (
    'augmentation',
    'launcher',
    'log_level',
    'model_name',
    'resume',
    'vis_backends',
    'visualizer',
    'work_dir',
)
# Names that the configs of the project build their parts from; their effect is in the parts. Names that end
# with `_loss` are the same.
HELPERS = (
    'crop_size',
    'data_root',
    'dataset_type',
    'img_ratios',
    'norm_cfg',
    'optimizer',
    'train_pipeline',
)
# mmengine registers what it parses in global tables
_PARSING = threading.Lock()


def parse_options(options: Iterable[str]) -> dict:
    """``['model.decode_head.num_classes=3', …]`` as ``--cfg-options`` reads it.

    Raises:
        ValueError: an option is not of the form KEY=VALUE, or mmengine would drop a part of its value.
    """
    options = list(options)
    for option in options:
        key, equals, value = option.partition('=')
        if ' ' in value and value[0] not in '[(':
            raise ValueError(
                f'--cfg-options: {option!r} has a blank in its value, which mmengine would drop; '
                'write it into a config, or use a path without blanks'
            )
        if not key or not equals:
            raise ValueError(
                f'--cfg-options: {option!r} is not KEY=VALUE, for example train_cfg.max_iters=2000'
            )
    if not options:
        return {}
    parser = ArgumentParser(prog='run_main.sh')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    # the equals sign binds a value that begins with a dash to its key, so only the first word is at risk
    return parser.parse_args(['--cfg-options', *options]).cfg_options


def load_config(path: Path, options: Iterable[str] = ()) -> Config:
    """The config with the options merged in, as the tools read it; imports nothing that the config names."""
    with _PARSING:
        config = Config.fromfile(path, import_custom_modules=False)
        config.merge_from_dict(parse_options(options))
    return config


def is_helper(key: str) -> bool:
    """Whether a top-level key of a config only serves to build others."""
    return key in HELPERS or key.endswith('_loss')


def describe(config: Config, train_flags: Iterable[str] = (), test_flags: Iterable[str] = ()) -> dict:
    """Settings as ``{'train': {dotted key: value}, 'test': {…}}``, made of JSON's types alone."""
    parts = {'train': {}, 'test': {}}
    for key, value in config.to_dict().items():
        if key not in IGNORED and not is_helper(key):
            part = 'test' if key.startswith(TEST_ONLY) else 'train'
            parts[part].update(_flatten(key, value))
    parts['train'].update(dict.fromkeys(train_flags, True))
    parts['test'].update(dict.fromkeys(test_flags, True))
    # through JSON and back: tuples become lists, as they will when read from the state file
    return json.loads(json.dumps(parts, default=repr, sort_keys=True))


def _flatten(prefix: str, value) -> dict:
    """Nested dicts and lists of dicts as one dict of dotted keys."""
    if isinstance(value, dict) and value:
        items = value.items()
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (dict, list, tuple)) for item in value):
        items = enumerate(value)
    else:
        return {prefix: value}
    flat = {}
    for key, item in items:
        flat.update(_flatten(f'{prefix}.{key}', item))
    return flat


def changes(before: Mapping, now: Mapping) -> list[str]:
    """One readable line for each key that differs between two descriptions of the same part.

    Keys without an effect are left out; descriptions of older versions have them.
    """
    lines = []
    for key in sorted(before.keys() | now.keys()):
        top = key.partition('.')[0]
        if top in IGNORED or is_helper(top):
            continue
        if key not in before:
            lines.append(f'{key}: {now[key]!r} is new')
        elif key not in now:
            lines.append(f'{key}: {before[key]!r} is gone')
        elif before[key] != now[key]:
            lines.append(f'{key}: {before[key]!r} is now {now[key]!r}')
    return lines


def checkpoint_options(config: Config, smoke: bool = False) -> tuple[list[str], list[str], int]:
    """Options that put the checkpoints into ``train/ckpt``, one for each validation.

    Returns:
        The options, a note for each setting of the config that they overrule, and how many of the last
        checkpoints the config wants to keep (-1: all), which is done after the best one is known.
    """
    train_cfg = config.get('train_cfg') or {}
    # a smoke run counts iterations, whatever the config counts
    by_epoch = not smoke and train_cfg.get('by_epoch', train_cfg.get('type') == 'EpochBasedTrainLoop')
    interval = train_cfg.get('val_interval', 1 if by_epoch else 1000)
    hooks = config.get('default_hooks') or {}
    hook = hooks.get('checkpoint') or {}
    prefix = 'default_hooks.checkpoint.'
    options, notes = [f'{prefix}subfolder={CHECKPOINTS}'], []
    names = ('CheckpointHook', 'mmseg.CheckpointHook')
    if hook.get('type') not in (names if config.get('default_scope', 'mmseg') == 'mmseg' else names[1:]):
        options.append(f'{prefix}type={names[1]}')
        if hook.get('type') not in (None, *names, 'mmengine.CheckpointHook'):
            notes.append(f'default_hooks.checkpoint.type={hook["type"]!r} is overruled: {names[1]!r}')
    if hook.get('by_epoch', True) != by_epoch:
        options.append(f'{prefix}by_epoch={by_epoch}')
    if (hooks.get('logger') or {}).get('log_metric_by_epoch', True) != by_epoch:
        # the step in the log has to be the number in the checkpoint's name
        options += [f'default_hooks.logger.log_metric_by_epoch={by_epoch}']
        if 'type' not in (hooks.get('logger') or {}):
            options.append('default_hooks.logger.type=LoggerHook')

    # mmengine's own defaults, with which every validated step has its checkpoint when the best is selected
    needed = {
        'out_dir': None,
        'filename_tmpl': None,
        'save_begin': 0,
        'save_last': True,
        'max_keep_ckpts': -1,
    }
    for key, value in needed.items():
        if hook.get(key, value) != value:
            options.append(f'{prefix}{key}={value}')
            if key != 'max_keep_ckpts':
                notes.append(f'default_hooks.checkpoint.{key}={hook[key]!r} is overruled: {value!r}')
    saved_every = hook.get('interval', -1)
    if saved_every <= 0 or interval % saved_every:
        options.append(f'{prefix}interval={interval}')
        notes.append(
            f'checkpoints were to be saved every {saved_every}, validation is every {interval}: '
            f'saving every {interval}, so that the best validation has its checkpoint'
        )
    return options, notes, hook.get('max_keep_ckpts', -1)
