"""A rendered dataset of eight training images, and a run over it with the tiny SDXL."""

import contextlib
import shutil
from pathlib import Path

import pytest
import torch
from augment_command import LENIENT, SMALL, WORDS, pixels
from PIL import Image

from augment.run import main


@contextlib.contextmanager
def single_threaded():
    """Runs here and in child processes sum in the same order: bytes are compared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    """Every test here runs on one thread."""
    with single_threaded():
        yield


@pytest.fixture(scope='session')
def blades(tmp_path_factory) -> Path:
    """Eight training images of 96², one made 64x192; six of them have defects. Two of validation and two of test."""
    from wtaseg.blades.dataset import render_dataset

    folder = tmp_path_factory.mktemp('data') / 'blades'
    list(render_dataset(folder, {'train': 8, 'val': 2, 'test': 2}, size=96, seed=5))
    for kind, method in (('img_dir', Image.Resampling.BICUBIC), ('ann_dir', Image.Resampling.NEAREST)):
        path = sorted((folder / kind / 'train').iterdir())[1]
        Image.open(path).resize((192, 64), method).save(path)
    for number, path in enumerate(sorted((folder / 'ann_dir' / 'train').iterdir())):
        # Independent of how many defects the renderer draws on so few pixels: six labels have some, two have none.
        label = pixels(path)
        label[30:33, 40:43] = 1
        Image.fromarray(label * (number not in (2, 6))).save(path)
    return folder


@pytest.fixture
def data(blades, tmp_path) -> Path:
    return shutil.copytree(blades, tmp_path / 'blades')


@pytest.fixture
def arguments(tiny_sdxl_dir, monkeypatch):
    """The command line for a dataset: few steps, thresholds that random weights can meet."""
    monkeypatch.setenv('OMP_NUM_THREADS', '1')

    def build(data: Path, *more: str) -> list[str]:
        where = ['--data', str(data), '--model', str(tiny_sdxl_dir)]
        return [*where, *SMALL, *LENIENT, *more]

    return build


@pytest.fixture(scope='session')
def reference(blades, tiny_sdxl_dir, tmp_path_factory) -> Path:
    """An uninterrupted run with two words; tests must not write into it."""
    folder = tmp_path_factory.mktemp('reference')
    where = [
        '--data',
        str(blades),
        '--model',
        str(tiny_sdxl_dir),
        '--device',
        'cpu',
        '--out',
        str(folder / 'out'),
    ]
    argv = [*where, *SMALL, *LENIENT, '--word', *WORDS, '--summary', '--cache', str(folder / 'cache')]
    with single_threaded():  # set up before one_thread, since it serves the whole session
        assert main(argv) == 0
    return folder / 'out'
