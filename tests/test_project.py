"""Requirements, README and files agree with each other."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
DEMO_WEIGHTS = 'augment/demo_model/weights'
PAGES = ['README.md', 'README_ko.md', 'data/README.md', 'augment/README.md', 'tests/parity/README.md']
PAGES += sorted(f'docs/{path.name}' for path in (ROOT / 'docs').glob('*.md'))
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
# "everything above" of the README: editing, and what the tables and the export of its commands need
CONDA_EXTRAS = ('augment', 'table', 'deploy')


def pins():
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    versions = dict(line.split('==') for line in lines if line and not line.startswith('#'))
    return {name.lower().replace('_', '-'): version for name, version in versions.items()}


def test_conda_environment_equals_pyproject():
    environment = yaml.safe_load((ROOT / 'environment.yaml').read_text())
    (pip,) = (entry['pip'] for entry in environment['dependencies'] if isinstance(entry, dict))
    listed = [entry for entry in pip if not entry.startswith('-')]
    extras = [PROJECT['optional-dependencies'][name] for name in CONDA_EXTRAS]
    assert sorted(listed) == sorted(sum(extras, PROJECT['dependencies']))
    assert f'python{PROJECT["requires-python"]}' in environment['dependencies']


@pytest.mark.parametrize('extra', [None, 'augment', 'table', 'deploy', 'tracking', 'dev'])
def test_pins_satisfy_the_ranges(extra):
    requirements = PROJECT['dependencies'] if extra is None else PROJECT['optional-dependencies'][extra]
    for requirement in map(Requirement, requirements):
        version = pins().get(requirement.name.lower())
        assert version is not None, f'{requirement.name} has no pin in constraints.txt'
        assert requirement.specifier.contains(version), f'{requirement} is pinned to {version}'


def test_importing_needs_no_optional_package():
    blocked = [
        'torchvision',
        'diffusers',
        'transformers',
        'accelerate',
        'timm',
        'onnx',
        'onnxruntime',
        'openpyxl',
    ]
    program = (
        f'import sys\nfor name in {blocked}: sys.modules[name] = None\n'
        'import mmseg.apis, mmseg.datasets, mmseg.engine, mmseg.evaluation, mmseg.models, mmseg.visualization'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def code_blocks(text):
    """Commands and Python code of a README, without comments."""
    blocks = re.findall(r'```(?:bash|python)\n(.*?)```', text, flags=re.DOTALL)
    return [[line.split('#')[0].rstrip() for line in block.splitlines()] for block in blocks]


def table_figures(text):
    rows = [line for line in text.splitlines() if line.startswith('|')]
    return [re.findall(r'\d+\.\d+', row) for row in rows]


def outline(text):
    """Levels of the headings, in order; a ``#`` in a code block is none."""
    return [
        len(level)
        for level in re.findall(r'^(#+) ', re.sub(r'```.*?```', '', text, flags=re.DOTALL), re.MULTILINE)
    ]


def test_both_readmes_show_the_same_commands():
    english, korean = ((ROOT / name).read_text() for name in ('README.md', 'README_ko.md'))
    assert code_blocks(english) == code_blocks(korean)
    assert table_figures(english) == table_figures(korean)
    assert outline(english) == outline(korean)


def anchors(page):
    """The anchors that GitHub gives to the headings of a Markdown file."""
    text = re.sub(r'```.*?```', '', page.read_text(encoding='utf-8'), flags=re.DOTALL)
    headings = re.findall(r'^#+ (.+)$', text, flags=re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('page', PAGES)
def test_files_and_sections_that_a_page_names_exist(page):
    page = ROOT / page
    text = page.read_text(encoding='utf-8')
    scripts = re.findall(r'(?:python|bash) ((?:tools|bash|augment)/\S+\.(?:py|sh))', text)
    commands = re.sub(r'```text\n.*?```', '', text, flags=re.DOTALL)  # without the output of programs
    configs = re.findall(r'configs/[\w./-]+\.py', commands)
    missing = [name for name in {*scripts, *configs} if not (ROOT / name).exists()]
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        path, _, anchor = link.partition('#')
        if '://' in path:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    assert missing == []


def test_no_tracked_file_is_large():
    done = subprocess.run(['git', 'ls-files', '-z'], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        pytest.skip('not a git checkout')
    sizes = {
        name: (ROOT / name).stat().st_size for name in done.stdout.split('\0') if (ROOT / name).is_file()
    }
    # the one exception: the demo model, in files that a host takes without large file storage
    weights = {name: size for name, size in sizes.items() if name.startswith(f'{DEMO_WEIGHTS}/')}
    segmenter = weights.pop(f'{DEMO_WEIGHTS}/segmenter.onnx')
    assert sum(weights.values()) <= 32e6 and max(weights.values()) <= 15e6 and segmenter <= 6e6
    others = {name: size for name, size in sizes.items() if not name.startswith(f'{DEMO_WEIGHTS}/')}
    assert {name: size for name, size in others.items() if size > 500_000} == {}
