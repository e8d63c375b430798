"""Every bad input is refused in one line that names file or key, value and remedy, without a traceback, status not 0."""

from pathlib import Path

import pytest
from bad_cases import Case, complaints
from cases_annotations import ANNOTATIONS
from cases_commands import COMMANDS
from cases_training import TRAINING, Changed

from wtaseg.cli import main

CASES = ANNOTATIONS + COMMANDS + TRAINING
FEWEST = 300


def test_the_corpus_is_large():
    assert len({repr(case) for case in CASES}) >= FEWEST


def results(folder: Path) -> set[Path]:
    """Files of the kinds that programs write as their result."""
    return {path for path in folder.rglob('*') if path.suffix in ('.png', '.pth', '.onnx')}


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('case', CASES, ids=str)
def test_bad_input(case: Case, material, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # they call compilers and lay out configs, which takes longer than everything else here
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))
    Changed.source = material['checkpoint']
    case.write(tmp_path)
    before = results(tmp_path)
    status = main(case.words(material))
    assert complaints(status, capsys.readouterr().err, case.names) == []
    if case.argv[:7] != 'convert':  # which goes on with the other files
        assert results(tmp_path) == before
