"""The command line and the config files of the augmentation, both made from :class:`AugmentConfig`.

A YAML or Python file given by ``--config`` uses the names of the flags; the command line wins over the file.
"""

import argparse
import difflib
import runpy
import types
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from augment.config import AugmentConfig, flag_of


def kind_of(f: Any) -> type:
    """The scalar type behind a field (``str`` for the list of words)."""
    return str if f.type not in (int, float, bool) else f.type


def help_of(f: Any) -> str:
    """Help text of one field: meaning, default and the default's source."""
    default = f.default_factory() if f.default_factory is not MISSING else f.default
    shown = ' '.join(default) if isinstance(default, list) else default
    notes = [] if shown == '' else [f'default: {shown}']
    if f.metadata['source']:
        notes.append(f'source: {f.metadata["source"]}')
    text = f.metadata['help'] + (f' ({"; ".join(notes)})' if notes else '')
    return text.replace('%', '%%')


def build_parser() -> argparse.ArgumentParser:
    """The command line, generated from the fields of :class:`AugmentConfig`."""
    parser = argparse.ArgumentParser(
        prog='augment/run.py',
        description='Edit the training images of a dataset with SDXL: null-text inversion with RLI, then '
        'prompt-to-prompt with a defect word. Started again after a stop, it goes on where it was.',
    )
    for f in fields(AugmentConfig):
        kwargs: dict[str, Any] = {'dest': f.name, 'default': argparse.SUPPRESS, 'help': help_of(f)}
        if f.type is bool:
            kwargs['action'] = argparse.BooleanOptionalAction
        else:
            kwargs['type'] = kind_of(f)
            kwargs['metavar'] = 'WORD' if f.name == 'word' else kind_of(f).__name__.upper()
            if 'choices' in f.metadata:
                kwargs['choices'] = f.metadata['choices']
                kwargs['metavar'] = '|'.join(f.metadata['choices'])
            if f.name == 'word':
                kwargs |= {'action': 'extend', 'nargs': '+'}
        parser.add_argument(flag_of(f), **kwargs)
    return parser


def read_config_file(path: str | Path) -> dict[str, Any]:
    """Values of a YAML or Python config file by field name.

    Raises ``FileNotFoundError`` for a missing file and ``ValueError`` for an unknown suffix, name or type.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'config: {path} does not exist; give a .yaml, .yml or .py file')
    if path.suffix == '.py':
        loaded = runpy.run_path(str(path))
        loaded = {k: v for k, v in loaded.items() if not k.startswith('_') and not is_code(v)}
    elif path.suffix in ('.yaml', '.yml'):
        loaded = read_yaml(path)
    else:
        raise ValueError(f'config: {path} ends in {path.suffix!r}; expected .yaml, .yml or .py')
    known = {flag_of(f).removeprefix('--').replace('-', '_'): f for f in fields(AugmentConfig)}
    known |= {f.name: f for f in fields(AugmentConfig)}
    known.pop('config')
    values = {}
    for key, value in loaded.items():
        name = str(key).replace('-', '_')
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f'; did you mean {near[0]}?' if near else f'; known names: {", ".join(sorted(known))}'
            raise ValueError(f'{path}: unknown name {key!r}{hint}')
        values[known[name].name] = convert(known[name], value, path)
    return values


def is_code(value: Any) -> bool:
    """Whether a global of a Python config is a helper (module, function, class) and no setting."""
    return isinstance(value, types.ModuleType | type) or callable(value)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; ``ValueError`` naming the file when it is none."""
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
    except yaml.YAMLError as error:
        raise ValueError(f'config: {path} is not valid YAML: {error}') from error
    if not isinstance(loaded, dict):
        raise ValueError(
            f'config: {path} holds a {type(loaded).__name__}; expected lines of the form name: value'
        )
    return loaded


def convert(f: Any, value: Any, path: Path) -> Any:
    """``value`` from a config file as the type of field ``f``, or ``ValueError`` naming file and key."""
    if f.name == 'word':
        words = [value] if isinstance(value, str) else value
        if isinstance(words, list | tuple) and all(isinstance(w, str) for w in words):
            return list(words)
        raise ValueError(f'{path}: word is {value!r}; expected a word or a list of words')
    kind = kind_of(f)
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f'{path}: {f.name} is {value!r}; expected {kind.__name__}')
    return kind(value)


def parse_config(argv: Sequence[str] | None = None) -> AugmentConfig:
    """The checked configuration from the command line and the file it names, in that order of precedence."""
    given = vars(build_parser().parse_args(argv))
    values = read_config_file(given['config']) if given.get('config') else {}
    config = AugmentConfig(**(values | given))
    config.check()
    return config
