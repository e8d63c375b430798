"""The wheel in a fresh environment, in a folder without a clone."""

import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ('mmseg', 'augment', 'wtaseg', 'configs')
EXPERIMENTS = 3 if find_spec('diffusers') and find_spec('transformers') else 2  # one on edited images
FILES = ('pyproject.toml', 'setup.py', 'MANIFEST.in', 'README.md', 'LICENSE')


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f'{done.stdout[-3000:]}\n{done.stderr[-3000:]}'
    return done.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of the sources: a build leaves files behind."""
    folder = tmp_path_factory.mktemp('wheel')
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / 'source' / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in FILES:
        shutil.copy(ROOT / name, folder / 'source' / name)
    # without build isolation and dependencies: nothing is downloaded
    options = ('--no-deps', '--no-build-isolation', '--no-index', '-q')
    run(sys.executable, '-m', 'pip', 'wheel', folder / 'source', *options, '-w', folder)
    (path,) = folder.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory) -> Path:
    """``wta-seg`` in an environment that sees the packages of this one, but not the clone."""
    folder = tmp_path_factory.mktemp('environment')
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / 'bin/python'
    (packages,) = folder.glob('lib/python*/site-packages')
    # its own packages come first; .pth files in those of this environment, an editable wta-seg's, are not read
    (packages / 'others.pth').write_text('\n'.join(site.getsitepackages()) + '\n')
    options = ('--no-deps', '--no-index', '--ignore-installed', '-q')
    run(sys.executable, '-m', 'pip', '--python', python, 'install', *options, wheel)
    return folder / 'bin/wta-seg'


@pytest.fixture
def environment(tmp_path) -> dict:
    """Working directory and environment of a user: another folder, one thread, no path to the clone."""
    env = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    return dict(cwd=tmp_path, env=env | dict(OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES=''))


def test_the_wheel_has_all_configs_and_templates(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f'wtaseg/configs/{path.relative_to(ROOT / "configs")}' for path in ROOT.glob('configs/**/*.py')
    }
    folders = [ROOT / 'wtaseg/report', ROOT / 'wtaseg/review']
    data = [
        path
        for folder in folders
        for path in folder.rglob('*')
        if path.is_file() and '.py' not in path.suffix
    ]
    expected |= {path.relative_to(ROOT).as_posix() for path in data}
    weights = (ROOT / 'augment/demo_model/weights').rglob('*')
    expected |= {path.relative_to(ROOT).as_posix() for path in weights if path.is_file()}
    assert len(expected) > 60
    assert expected - names == set()
    assert not any(name.startswith(('tests', 'tools', 'configs')) for name in names)


@pytest.mark.slow
def test_trains_a_config_by_name(installed, blades, environment, tmp_path):
    run(
        installed,
        'train',
        'fastscnn/fast_scnn_4xb4-40k_wta-512x512',
        '--data',
        blades,
        '--smoke',
        **environment,
    )
    folder = tmp_path / 'work_dirs/fast_scnn_4xb4-40k_wta-512x512_smoke'
    assert (folder / 'iter_4.pth').is_file()


@pytest.mark.slow
def test_demo(installed, environment, tmp_path):
    printed = run(installed, 'demo', '--smoke', **environment)
    project = tmp_path / 'work_dirs/demo'
    table = (project / 'results.md').read_text()
    assert 'FocalLoss' in table and 'CrossEntropyLoss' in table
    assert table in printed and 'Done in' in printed
    assert (project / 'results.csv').is_file() and (project / 'results.xlsx').is_file()
    assert (project / 'curves/test_set_eval.png').is_file()
    assert len(list((project / 'overlays').glob('*.png'))) == 2
    assert len(list(project.glob('exp/fastscnn/*/train/ckpt/iter_4.pth'))) == EXPERIMENTS
    edited = tmp_path / 'data/wta_demo_smoke_aug_peeling_rust/manifest.jsonl'
    assert edited.is_file() == (EXPERIMENTS == 3)
    again = run(installed, 'demo', '--smoke', **environment)
    assert again.count('skipped fastscnn/') >= EXPERIMENTS and ' 0 drawn now' in again
