"""The command ``wta-seg``: one file per subcommand.

The command line is made by cyclopts: it takes lists the way users of mmsegmentation type them
(``--cfg-options A=1 B=2``), builds help and shell completion from signatures and docstrings, and imports a subcommand
only when it is called. A subcommand imports torch, OpenCV, pandas and the like inside its function, so that help is
shown without them.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

from cyclopts import App, ArgumentCollection, CycloptsError, MissingArgumentError, Parameter

from wtaseg.cli.lean_imports import without_transformers
from wtaseg.cli.messages import notes, one_line, resource_error

#: Environment variable that shows the traceback of errors in user input.
TRACEBACK = 'WTA_SEG_TRACEBACK'
USAGE_ERROR, FAILED, INTERRUPTED = 2, 1, 130

#: An option with several values, ``--option A B``.
MANY = Parameter(consume_multiple=True, show_default=False)

#: The subcommands in the order of ``wta-seg --help`` and their lines in it; ``wtaseg.cli.<subcommand>`` holds
#: ``command``, a function or an app, whose docstring is the help of the subcommand itself.
COMMANDS = {
    'demo': 'Render a small dataset, train two experiments, test, tabulate and draw.',
    'new': 'Make a dataset and three experiments from your images and labels.',
    'split': 'Split a labelled dataset again, or into folds.',
    'render': 'Render a synthetic dataset of blade images with rare defects.',
    'check': 'Check every file of a dataset and print the share of each class.',
    'convert': 'Convert masks, LabelMe, COCO or CVAT annotations to label maps, and label maps back.',
    'relabel': 'Propose labels for edited images from what the edit changed.',
    'review': 'Review and correct labels in the browser.',
    'train': 'Train one experiment.',
    'test': 'Test a checkpoint of an experiment.',
    'predict': 'Find the defects in images without labels.',
    'batch': 'Train, select the best checkpoint of and test many experiments.',
    'find-best': 'Print the training step whose checkpoint is tested.',
    'study': 'Train, test, tabulate and draw what a study compares.',
    'report': 'Write the table, curves, overlays and page of a project.',
    'export': 'Export a trained model to ONNX.',
    'augment': 'Edit the training images of a dataset with Stable Diffusion XL.',
    'tools': 'Print a config, browse a dataset, plot logs or a confusion matrix, publish a checkpoint.',
    'bench': 'Measure the data pipeline, a training step, image editing, model sizes, labels or planted defects.',
}

#: What the commands are called in other projects.
OTHER_NAMES = {
    **dict.fromkeys(('val', 'validate', 'evaluate', 'eval'), 'test'),
    **dict.fromkeys(('detect', 'segment', 'infer', 'inference', 'track'), 'predict'),
    **dict.fromkeys(('fit', 'finetune', 'resume'), 'train'),
    **dict.fromkeys(('init', 'create', 'dataset', 'import'), 'new'),
}


class Interrupted(Exception):
    """A command was stopped by Ctrl-C or a signal; what is done is kept."""


def version() -> str:
    """The version of the project."""
    from mmseg.version import PROJECT_VERSION

    return PROJECT_VERSION


def refuse_fractions(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse 2.5 where an integer is expected: cyclopts would round it to 2.

    Raises:
        CycloptsError: a value is not an integer.
    """
    for argument in arguments:
        if int in (argument.hint, *get_args(argument.hint)):
            for token in argument.tokens:
                if '.' in token.value:
                    raise CycloptsError(
                        msg=f'{argument.name}: {token.value!r} is not a whole number, expected one'
                    )


def make_app(name: str, **options) -> App:
    """An application with the settings that all commands share: flags have no ``--no-`` form, and a repeated
    option replaces the earlier value, or adds to it if it takes several."""
    return App(
        name=name,
        config=refuse_fractions,
        default_parameter=Parameter(negative=(), allow_repeating=True),
        suppress_keyboard_interrupt=False,
        **options,
    )


def image_size(shape: Sequence[int], option: str = '--shape') -> tuple[int, int] | None:
    """``H W`` or one side of a command line as (height, width); None: not given.

    Raises:
        CycloptsError: more than two values.
    """
    if len(shape) > 2 or any(side < 1 for side in shape):
        given = ' '.join(map(str, shape))
        raise CycloptsError(msg=f'{option}: {given}; expected height and width, or one side, in pixels')
    return (shape[0], shape[-1]) if shape else None


def build_app(selected: str | None = None) -> App:
    """The application ``wta-seg``.

    Args:
        selected: the subcommand about to be called, whose help then is its docstring. All others have the line of
            :data:`COMMANDS`, for which their modules need not be imported.
    """
    app = make_app(
        'wta-seg',
        help='Segmentation of rare defects, from your own images to a finished report.\n\nFirst steps: `wta-seg demo`; '
        'with your own images `wta-seg new`, `train`, `test`, `predict`.',
        help_epilogue=f'{TRACEBACK}=1 shows the traceback of an error that is printed as one line.',
        version=version,
    )
    app.register_install_completion_command()
    for index, (name, line) in enumerate(COMMANDS.items()):
        options = {} if name == selected else {'help': line}
        app.command(f'wtaseg.cli.{name.replace("-", "_")}:command', name=name, sort_key=index, **options)
    return app


def usage_error(error: CycloptsError, program: str) -> str:
    """One line for arguments that can not be parsed."""
    if isinstance(error, MissingArgumentError) and error.argument is not None and not error.argument.tokens:
        return f'{error.argument.name} is missing; {program} --help says what it is'
    # what the commands raise themselves says all; of an option, see the help
    hint = '' if type(error) is CycloptsError else f' See {program} --help.'
    return ' '.join(str(error).split()) + hint


def run(target: App, argv: Sequence[str], program: str) -> int:
    """Run an application; print an error in user input as one line that begins with ``program``.

    Returns:
        The exit status: that of the command, 1 for an error in user input, 2 for arguments that can not be parsed, 130
        for a command that was stopped.
    """
    try:
        with notes(), without_transformers():
            status = target(argv, exit_on_error=False, print_error=False, result_action='return_value')
    except CycloptsError as error:
        print(f'{program}: {usage_error(error, program)}', file=sys.stderr)
        return USAGE_ERROR
    except Interrupted as error:
        print(f'{program}: {error}', file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError, RuntimeError) as error:
        text = resource_error(error) if isinstance(error, RuntimeError) else one_line(error)
        if text is None or os.environ.get(TRACEBACK):
            raise
        print(f'{program}: {text}', file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return _interrupted(program)
    return status or 0


@contextmanager
def stoppable() -> Iterator[None]:
    """Work that Ctrl-C, SIGTERM and SIGHUP interrupt, and that the same command continues.

    Raises:
        Interrupted: it was interrupted.
    """
    from wtaseg.runs.processes import signals_interrupt

    try:
        with signals_interrupt():
            yield
    except KeyboardInterrupt:
        raise Interrupted('stopped; run the same command again to continue') from None


def run_alone(command: Callable, argv: Sequence[str] | None, program: str) -> int:
    """Run one subcommand as a program of its own: for the scripts in ``tools/``."""
    target = make_app(program, default_command=command, version_flags=())
    return run(target, sys.argv[1:] if argv is None else list(argv), program)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``wta-seg``; returns the exit status, see :func:`run`."""
    argv = sys.argv[1:] if argv is None else list(argv)
    selected = argv[0] if argv and argv[0] in COMMANDS else None
    if argv and argv[0] in OTHER_NAMES:
        print(
            f'wta-seg: there is no command {argv[0]!r}; use wta-seg {OTHER_NAMES[argv[0]]}', file=sys.stderr
        )
        return USAGE_ERROR
    program = f'wta-seg {selected}' if selected else 'wta-seg'
    try:
        app = build_app(selected)
    except KeyboardInterrupt:
        return _interrupted(program)
    return run(app, argv, program)


def _interrupted(program: str) -> int:
    print(f'{program}: interrupted', file=sys.stderr)
    return INTERRUPTED
