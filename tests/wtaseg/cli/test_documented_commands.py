"""Every ``wta-seg`` command in the README and the docs has a subcommand and options that exist."""

import re
import shlex
from contextlib import suppress
from pathlib import Path

import pytest
from cyclopts import MissingArgumentError

from wtaseg.cli import build_app

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    *ROOT.glob('README*.md'),
    *ROOT.glob('docs/*.md'),
    ROOT / 'data/README.md',
    ROOT / 'augment/README.md',
]


def documented(page: Path) -> set[str]:
    """The commands in the code blocks and in the `code` of a page, without comments."""
    text = page.read_text(encoding='utf-8').replace('\\\n', ' ')
    blocks = re.findall(r'```(?:bash)?\n(.*?)```', text, flags=re.DOTALL)
    lines = [line.split(' #')[0].strip() for block in blocks for line in block.splitlines()]
    lines += re.findall(r'`([^`\n]+)`', re.sub(r'```.*?```', '', text, flags=re.DOTALL))
    # a command may follow settings of the environment, or a program that runs it
    return {line[line.index('wta-seg ') :] for line in lines if re.match(r'([\w/.=]+ )*wta-seg ', line)}


COMMANDS = sorted({command for page in PAGES for command in documented(page)})


def test_there_are_documented_commands():
    assert len(COMMANDS) > 20


@pytest.mark.parametrize('command', COMMANDS)
def test_a_documented_command_can_be_parsed(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('FILE.yaml', 'FILE.py'):  # augment reads --config when it parses
        (tmp_path / name).touch()
    words = shlex.split(command)[1:]
    if words[0] == 'COMMAND':
        words[0] = 'render'
    app = build_app(words[0])
    with suppress(MissingArgumentError):  # text may name a subcommand alone
        app.parse_args(words, exit_on_error=False, print_error=False)
