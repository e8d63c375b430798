"""The command line and the config files of the augmentation, both made of the fields of ``AugmentConfig``.

cyclopts parses them. A YAML or Python file given by ``--config`` uses the names of the flags; the command line wins
over the file.
"""

import inspect
import runpy
import types
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, CycloptsError, Parameter, Token
from cyclopts.config import Dict

from augment.config import AugmentConfig
from augment.options import default_of, flag_of
from augment.shipped import with_defaults

HELP = """Edit the training images of a dataset with SDXL: null-text inversion with RLI, then prompt-to-prompt with a
defect word. With --mode plant, edit defects that are put into normal images. Started again after a stop, it continues where it was.

Example: {command} --data data/wta_512 --word peeling --summary"""


def help_of(f: Field) -> str:
    """Help text of one field: meaning, default and the default's source."""
    default = default_of(f)
    default = ' '.join(default) if isinstance(default, list) else default
    notes = [] if default == '' else [f'default: {default}']
    if f.metadata['source']:
        notes.append(f'source: {f.metadata["source"]}')
    return f.metadata['help'] + (f' ({"; ".join(notes)})' if notes else '')


def whole_number(kind: type, tokens: Sequence[Token]) -> int:
    """An integer; cyclopts alone would round 2.5 to 2."""
    try:
        return int(tokens[0].value)
    except ValueError:
        origin = '' if tokens[0].source == 'cli' else f' from {tokens[0].source}'
        raise ValueError(f'expected a whole number, found {tokens[0].value!r}{origin}') from None


def parameter_of(f: Field) -> inspect.Parameter:
    """One field as keyword parameter with its flag, type and help."""
    options: dict[str, Any] = {'name': flag_of(f), 'help': help_of(f), 'show_default': False}
    options['allow_repeating'] = True  # the last one counts; of --word, all
    if f.type is int:
        options['converter'] = whole_number
    elif f.type == list[str]:
        options |= {'consume_multiple': True, 'negative': ()}
    default = default_of(f)
    annotation = Annotated[f.type, Parameter(**options)]
    return inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def build_app(
    name: str = 'augment/run.py',
    command: str = 'python augment/run.py',
    action: Callable[[AugmentConfig], Any] | None = None,
) -> App:
    """The command, whose call returns what ``action`` does, or None after ``--help``.

    Args:
        name: Of the command, in its help.
        command: How it is typed.
        action: What to do with the checked configuration; None: return it.
    """

    def call(**values: Any) -> Any:
        config = AugmentConfig(**with_defaults(values))
        config.source_dir()
        return config if action is None else action(config)

    call.__signature__ = inspect.Signature([parameter_of(f) for f in fields(AugmentConfig)])
    app = App(
        name=name,
        help=HELP.format(command=command),
        config=apply_config_file,
        help_format='plaintext',  # as Markdown, <word> would vanish
        version_flags=(),
        result_action='return_value',
    )
    app.default(call)
    return app


def apply_config_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give the values of the file named by ``--config`` to the arguments that the command line leaves open."""
    for argument in arguments:
        if argument.name == '--config' and argument.tokens:
            path = argument.tokens[0].value
            Dict(read_config_file(path), source=path, use_commands_as_keys=False)(app, commands, arguments)


def read_config_file(path: str | Path) -> dict[str, Any]:
    """Values of a YAML or Python config file by flag name, without ``--``.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: Another suffix, no mapping of names to values, or a word that is no text (YAML reads ``no`` as false).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'config: {path} does not exist; give a .yaml, .yml or .py file')
    if path.suffix == '.py':
        values = run_python(path)
        values = {k: v for k, v in values.items() if not k.startswith('_') and not is_code(v)}
    elif path.suffix in ('.yaml', '.yml'):
        values = read_yaml(path)
    else:
        raise ValueError(f'config: {path} ends in {path.suffix!r}; expected .yaml, .yml or .py')
    if 'config' in values:
        raise ValueError(f'{path}: config cannot be set in a config file; remove it')
    flags = {f.name: flag_of(f).removeprefix('--') for f in fields(AugmentConfig)}
    values = {flags.get(str(key), str(key)): value for key, value in values.items()}
    words = values.get('word', '')
    if not all(isinstance(word, str) for word in ([words] if isinstance(words, str) else words or [None])):
        raise ValueError(f'{path}: word is {words!r}; expected a word or a list of words, quoted if need be')
    return values


def run_python(path: Path) -> dict[str, Any]:
    """The globals of a Python file, which is executed.

    Raises:
        ValueError: it fails; names the file, and the line if it can not be parsed.
    """
    try:
        return runpy.run_path(str(path))
    except Exception as error:  # whatever the file does
        reason = ' '.join(str(error).split())
        raise ValueError(
            f'config: {path} can not be executed: {type(error).__name__}: {reason}; correct the file, expected lines of '
            'the form name = value'
        ) from error


def is_code(value: Any) -> bool:
    """Whether a global of a Python config is a module, function or class and not a setting."""
    return isinstance(value, types.ModuleType | type) or callable(value)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; ``ValueError`` naming the file when it contains something else."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = ' '.join(str(error).split())
        raise ValueError(
            f'config: {path} is not valid YAML: {reason}; expected lines of the form name: value'
        ) from error
    if not isinstance(values, dict):
        raise ValueError(
            f'config: {path} holds a {type(values).__name__}; expected lines of the form name: value'
        )
    return values


def parse_config(argv: Sequence[str]) -> AugmentConfig | None:
    """The checked configuration from a command line and the file it names; None after ``--help``.

    Raises:
        ValueError, FileNotFoundError: Unknown names, values of the wrong type or out of range, missing files.
    """
    try:
        return build_app()(list(argv), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise ValueError(' '.join(str(error).split())) from error
