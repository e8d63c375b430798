"""The pipeline benchmark on a small dataset, alone and against another interpreter."""

import importlib.util
import json
import shlex
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / 'configs/_base_/datasets/wta_512.py'


@pytest.fixture(scope='module')
def benchmark():
    spec = importlib.util.spec_from_file_location('benchmark_pipeline', ROOT / 'wtaseg/bench/pipeline.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('benchmark')
    for kind in ('img_dir', 'ann_dir'):
        (root / kind / 'train').mkdir(parents=True)
        for i in range(3):
            shape = (96, 96, 3) if kind == 'img_dir' else (96, 96)
            cv2.imwrite(str(root / kind / 'train' / f'{i}.png'), np.zeros(shape, np.uint8))
    return root


def test_times_every_transform_and_the_total(benchmark, data, tmp_path, capsys):
    threads = cv2.getNumThreads()
    report = tmp_path / 'report.json'
    arguments = [str(CONFIG), '--data-root', str(data), '--rounds', '2', '--images', '3']
    try:
        benchmark.main([*arguments, '--json', str(report)])
    finally:
        cv2.setNumThreads(threads)
    timings = json.loads(report.read_text())
    steps = [name for name in timings if name != 'total']
    assert [name.split('. ')[1] for name in steps][3:5] == ['RandomCrop', 'RandomFlip']
    assert len(steps) == 7
    assert all(len(values) == 6 for values in timings.values())
    np.testing.assert_allclose(np.sum([timings[name] for name in steps], 0), timings['total'])
    assert 'RandomCrop' in capsys.readouterr().out


def test_compares_two_interpreters(benchmark, data, capsys):
    command = f'env PYTHONPATH={shlex.quote(str(ROOT))} OMP_NUM_THREADS=1 {shlex.quote(sys.executable)}'
    arguments = [str(CONFIG), '--data-root', str(data), '--rounds', '1', '--images', '2', '--warmup', '0']
    benchmark.main([*arguments, '--against', command, '--clock', 'cpu'])
    lines = capsys.readouterr().out.splitlines()
    total = next(line for line in lines if line.startswith('total '))
    here, there, ratio = map(float, total.split()[1:])
    assert ratio == pytest.approx(there / here, rel=0.05)
    with pytest.raises(RuntimeError, match='false failed with status 1'):
        benchmark.main([*arguments, '--against', 'false'])


def test_names_what_is_missing(benchmark, tmp_path):
    with pytest.raises(FileNotFoundError, match='--data-root'):
        benchmark.main([str(CONFIG), '--data-root', str(tmp_path)])
    with pytest.raises(ValueError, match='no nonsense_dataloader'):
        benchmark.main([str(CONFIG), '--split', 'nonsense'])
