"""``wta-seg augment`` has the options of ``python augment/run.py`` and its exit statuses, with errors of its own name."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from augment import pipeline
from wtaseg.cli import TRACEBACK, main


def test_help_names_the_subcommand_and_its_options():
    # in a process of its own: an app that has been in a list of commands keeps its line there as its help
    command = [sys.executable, '-m', 'wtaseg', 'augment', '--help']
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 'Usage: wta-seg augment' in page and 'wta-seg augment --data' in page and 'run.py' not in page
    assert '--inner-steps' in page and '--word' in page


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--data', 'nowhere'], 'data: nowhere is not a folder'),
        (['--data', '.', '--stps', '3'], 'Unknown option: --stps. Did you mean --steps?'),
        (['--data', '.', '--steps', '2.5'], "--steps: expected a whole number, found '2.5'"),
        (['--data', '.', '--steps', '0'], 'steps: 0 found'),
        (['--config', 'none.yaml'], 'none.yaml does not exist'),
        (['--config', 'wrong.yaml'], 'from wrong.yaml. Did you mean --steps?'),
        (['--data', 'data'], 'data/img_dir'),  # found when the images are read
    ],
)
def test_errors_name_the_subcommand(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'wrong.yaml').write_text('stps: 3')
    assert main(['augment', *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith('wta-seg augment: ') and message in line


def test_a_config_file_sets_what_the_command_line_leaves_open(tmp_path, monkeypatch):
    file = tmp_path / 'mine.yaml'
    file.write_text(f'data: {tmp_path}\nsteps: 7\nword: rust')
    configs = []
    report = SimpleNamespace(text=str, dry=True)
    monkeypatch.setattr(pipeline, 'run', lambda config, bars: configs.append(config) or report)
    assert main(['augment', '--config', str(file), '--word', 'dent']) == 0
    (config,) = configs
    assert (config.data, config.steps, config.word) == (str(tmp_path), 7, ['dent'])


@pytest.mark.parametrize('accepted', [0, 3])
def test_the_status_says_whether_an_edit_was_accepted(accepted, tmp_path, monkeypatch, capsys):
    report = SimpleNamespace(text=lambda: 'the report', dry=False, accepted=accepted)
    monkeypatch.setattr(pipeline, 'run', lambda config, bars: report)
    assert main(['augment', '--data', str(tmp_path)]) == (0 if accepted else 1)
    assert capsys.readouterr().out == 'the report\n'


def test_an_interrupt_has_its_status_and_an_error_its_traceback(tmp_path, monkeypatch, capsys):
    def stop(error):
        def run(config, bars):
            raise error

        monkeypatch.setattr(pipeline, 'run', run)

    stop(KeyboardInterrupt())
    assert main(['augment', '--data', str(tmp_path)]) == 130
    assert 'the same command continues' in capsys.readouterr().err
    stop(MemoryError('too many images'))
    assert main(['augment', '--data', str(tmp_path)]) == 2
    assert capsys.readouterr().err == 'wta-seg augment: too many images\n'
    monkeypatch.setenv(TRACEBACK, '1')
    with pytest.raises(MemoryError):
        main(['augment', '--data', str(tmp_path)])
