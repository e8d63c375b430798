"""A full disk and a read-only folder: every program says in one line what it could not write and what to do."""

import shutil
from pathlib import Path

import pytest
from disk import read_only, small_files
from study_helpers import run_in_process
from tiny_sdxl import build_tiny_sdxl
from torture.contents import damaged, files, is_temporary
from torture.programs import EDIT

from mmseg.apis import export_onnx
from wtaseg import shared_memory
from wtaseg.cli import main

COMMANDS = {
    'train': 'train {config} --work-dir o',
    'test': 'test {config} {checkpoint} --work-dir o --out o/pred',
    'batch': 'batch --project p --gpus 1 --config-root {configs} --work-dir o --candidates net/tiny',
    'study': 'study gamma --project p --data {blades} --config-root {configs} --work-dir o --model net/tiny '
    '--only Gamma_2 --iters 2 --validations 1',
    'report': 'report {work} --out o --parts table',
    'render': 'render --out o --train 2 --val 0 --test 0 --size 64 --workers 1',
    'convert': 'convert values {labels} --map 0=defect 1=attached 2=broken --out o',
    'new': 'new o/d --configs o/c --images {images} --labels {labels} --classes a b c --split 1/0/0',
    'predict': 'predict {checkpoint} {images} --out o --device cpu',
    'export': 'export {config} {checkpoint} --output-file o/m.onnx',
    'augment': 'augment --data {blades} --model {sdxl} --out o --cache c ' + EDIT.replace(' --summary', ''),
}
#: Bytes; smaller than every image, label map, table and checkpoint.
LIMIT = 40


@pytest.fixture(scope='module')
def paths(material, tmp_path_factory) -> dict[str, str]:
    """What the commands read."""
    images, labels = (material['blades'] / folder / 'train' for folder in ('img_dir', 'ann_dir'))
    sdxl = build_tiny_sdxl(tmp_path_factory.mktemp('sdxl'))
    work = material['checkpoint'].parent
    return {key: str(path) for key, path in material.items()} | {
        'images': str(images),
        'labels': str(labels),
        'sdxl': str(sdxl),
        'work': str(work),
    }


@pytest.fixture
def run(paths, tmp_path, monkeypatch, capsys):
    """A function that runs a command in a folder with an empty ``o``; returns status and lines of stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    run_in_process(monkeypatch)
    # an export takes long, and what it writes is of no interest here
    monkeypatch.setattr(export_onnx, 'trace', lambda *_: (None, None))
    monkeypatch.setattr(
        export_onnx, 'write', lambda program, path, metadata: Path(path).write_bytes(bytes(1000))
    )
    monkeypatch.setattr(export_onnx, 'compare', lambda *_: {})

    def command(name: str, *options: str) -> tuple[int, list[str]]:
        words = [
            word.replace('_', ' ') if word == 'Gamma_2' else word
            for word in COMMANDS[name].format(**paths).split()
        ]
        words += options
        capsys.readouterr()
        status = main(words)
        output = capsys.readouterr()
        text = output.err + output.out
        assert 'Traceback' not in text and 'Logging error' not in text, text
        return status, [line for line in text.replace('\r', '\n').splitlines() if line.strip()]

    (tmp_path / 'o').mkdir()
    return command


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', COMMANDS)
def test_a_full_disk(run, name, tmp_path):
    with small_files(LIMIT):
        status, lines = run(name)
    assert status not in (0, None)
    assert any('/' in line and 'ree some space' in line for line in lines), lines
    assert damaged(tmp_path) == []
    assert [path for path in files(tmp_path) if is_temporary(path)] == []


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', COMMANDS)
def test_a_read_only_folder(run, name, tmp_path):
    (tmp_path / 'o/file').write_text('old')
    with read_only(tmp_path / 'o'):
        status, lines = run(name)
    assert status not in (0, None)
    assert any('o/' in line and ('permissions' in line or 'may be written' in line) for line in lines), lines
    assert [path.relative_to(tmp_path).as_posix() for path in files(tmp_path / 'o')] == ['o/file']
    assert (tmp_path / 'o/file').read_text() == 'old'


def test_shared_memory_without_room_for_workers(run, monkeypatch):
    usage = shutil.disk_usage('/')
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage._replace(free=4096))
    status, lines = run('train', '--cfg-options', 'train_dataloader.num_workers=1')
    assert status == 1 and str(shared_memory.FOLDER) in lines[-1] and '--shm-size' in lines[-1]


def test_shared_memory_that_fills_up_later():
    error = RuntimeError('unable to write to file </torch_17_1>: No space left on device (28)')
    assert shared_memory.is_full(error) and 'num_workers=0' in shared_memory.message(str(error))
