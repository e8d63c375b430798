"""The command ``wta-seg``: every subcommand shows its help without heavy imports; completion, version, errors."""

import os
import re
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from mmseg.version import PROJECT_VERSION
from wtaseg.cli import COMMANDS, main
from wtaseg.cli.messages import notes

#: What help must not wait for: seconds each, or not installed.
HEAVY = ['torch', 'mmengine', 'mmcv', 'cv2', 'numpy', 'pandas', 'matplotlib', 'PIL', 'scipy', 'diffusers']
#: Subcommands whose own subcommands hold the options.
GROUPS = {
    'convert': ['palette', 'binary', 'values', 'labelme', 'coco', 'cvat', 'to-coco', 'to-labelme'],
    'tools': ['print-config', 'browse-dataset', 'analyze-logs', 'confusion-matrix', 'publish-model'],
    'bench': ['data', 'train', 'edit', 'flops', 'relabel', 'plant'],
}

#: The scripts that are shims of a subcommand; the weight converters have command lines of their own.
ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = [path for path in sorted(ROOT.glob('tools/**/*.py')) if path.parent.name != 'model_converters']
SCRIPTS += sorted(ROOT.glob('bash/*.py'))

PAGES = [[], *([name] for name in COMMANDS), *([name, part] for name in GROUPS for part in GROUPS[name])]


@pytest.mark.parametrize('words', PAGES, ids=lambda words: ' '.join(words) or 'wta-seg')
def test_help_imports_nothing_heavy(words):
    code = (
        'import sys\n'
        'from wtaseg.cli import main\n'
        'try:\n'
        f'    status = main({[*words, "--help"]})\n'
        'except SystemExit as end:\n'  # argparse
        '    status = end.code or 0\n'
        f'print("heavy:", [name for name in {HEAVY} if name in sys.modules])\n'
        'sys.exit(status)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page, imported = done.stdout.rsplit('heavy:', 1)
    assert imported.strip() == '[]'
    assert 'usage' in page.lower()
    if not words:
        assert all(re.search(rf'\s{name}\s', page) for name in COMMANDS)


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.stem)
def test_scripts_run_from_another_folder_and_show_help(script, tmp_path):
    env = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    command = [sys.executable, script, '--help']
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert 'usage' in done.stdout.lower()


@pytest.mark.parametrize('name', COMMANDS)
def test_every_subcommand_has_an_example(name):
    command = import_module(f'wtaseg.cli.{name.replace("-", "_")}').command
    text = getattr(command, 'help', None) or command.__doc__ or command.default_command.__doc__
    assert f'wta-seg {name} ' in text.replace('\n', ' ') or f'wta-seg {name}`' in text


@pytest.mark.parametrize('shell', ['bash', 'zsh', 'fish'])
def test_completion_is_installed(shell, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('HOME', str(tmp_path))
    script = tmp_path / 'completion'
    assert main(['--install-completion', '--shell', shell, '--output', str(script)]) == 0
    text = script.read_text()
    assert all(name in text for name in COMMANDS)
    assert 'cfg-options' in text and 'inner-steps' in text


def test_the_version_is_shown(capsys):
    assert main(['--version']) == 0
    assert capsys.readouterr().out.strip() == PROJECT_VERSION


@pytest.mark.parametrize(
    ('argv', 'status', 'message'),
    [
        (['rendr'], 2, r'wta-seg: .*rendr.*"render"'),
        (['render', '--sede', '1'], 2, r'wta-seg render: .*--sede.*--seed'),
        (['render', '--size', 'large'], 2, r'wta-seg render: .*--size.*large'),
        (['render', '--train', '2.5'], 2, r"wta-seg render: --train: '2.5' is not a whole number"),
        (['bench', 'flops', 'a', '--shape', '2.5'], 2, r"wta-seg bench: --shape: '2.5' is not a whole"),
        (['bench', 'train', 'a', '--batch', '2.5'], 2, r"wta-seg bench: --batch: '2.5' is not a whole"),
        (['check'], 2, r'wta-seg check: .*ROOT'),
        (['check', 'nowhere'], 1, r'wta-seg check: nowhere/img_dir does not exist'),
        (['train', 'nothing/there'], 1, r'wta-seg train: .*nothing/there.py does not exist'),
    ],
)
def test_errors_are_one_line_and_a_status(argv, status, message, capsys):
    assert main(argv) == status
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert re.match(message, line)


def test_warnings_for_users_are_notes_while_a_command_runs():
    """Others keep the place in the code."""
    python, file = warnings.formatwarning, str(ROOT / 'mmseg/visualization/text.py')
    with notes():
        assert warnings.formatwarning('no font\nhas it', UserWarning, file, 1) == 'note: no font has it\n'
        assert f'{file}:1: DeprecationWarning: old' in warnings.formatwarning(
            'old', DeprecationWarning, file, 1
        )
    assert warnings.formatwarning is python


@pytest.mark.parametrize(
    ('words', 'error'),
    [
        (['val'], "there is no command 'val'; use wta-seg test"),
        (['detect', 'photos'], 'use wta-seg predict'),
        (['new', 'x', '--images', 'a'], '--labels is missing; wta-seg new --help says what it is'),
        (['predict'], 'MODEL is missing'),
        (['test', 'best.pth'], 'expected a config first: wta-seg test CONFIG best.pth'),
    ],
)
def test_who_knows_other_programs_is_told_how_it_is_called_here(words, error, capsys):
    assert main(words) == 2
    assert error in capsys.readouterr().err
