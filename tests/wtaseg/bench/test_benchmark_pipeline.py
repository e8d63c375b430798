"""The pipeline benchmark on a small dataset, alone and against another interpreter."""

import ast
import json
import shlex
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from wtaseg.bench import pipeline
from wtaseg.cli.bench import main_data

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / 'configs/_base_/datasets/wta_512.py'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('benchmark')
    for kind in ('img_dir', 'ann_dir'):
        (root / kind / 'train').mkdir(parents=True)
        for i in range(3):
            shape = (96, 96, 3) if kind == 'img_dir' else (96, 96)
            cv2.imwrite(str(root / kind / 'train' / f'{i}.png'), np.zeros(shape, np.uint8))
    return root


def test_times_every_transform_and_the_total(data, tmp_path, capsys):
    threads = cv2.getNumThreads()
    report = tmp_path / 'report.json'
    arguments = [str(CONFIG), '--data-root', str(data), '--rounds', '2', '--images', '3']
    try:
        assert main_data([*arguments, '--json', str(report)]) == 0
    finally:
        cv2.setNumThreads(threads)
    timings = json.loads(report.read_text())
    steps = [name for name in timings if name != 'total']
    assert [name.split('. ')[1] for name in steps][3:5] == ['RandomCrop', 'RandomFlip']
    assert len(steps) == 7
    assert all(len(values) == 6 for values in timings.values())
    np.testing.assert_allclose(np.sum([timings[name] for name in steps], 0), timings['total'])
    assert 'RandomCrop' in capsys.readouterr().out


def test_compares_two_interpreters(data, capsys):
    """The other interpreter runs the file alone: ``wtaseg`` can not be imported there."""
    hide = 'import sys; sys.modules["wtaseg"] = sys.modules["cyclopts"] = None'
    alone = f'{hide}; import runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")'
    command = shlex.join(['env', f'PYTHONPATH={ROOT}', 'OMP_NUM_THREADS=1', sys.executable, '-c', alone])
    arguments = [str(CONFIG), '--data-root', str(data), '--rounds', '1', '--images', '2', '--warmup', '0']
    assert main_data([*arguments, '--against', command, '--clock', 'cpu']) == 0
    lines = capsys.readouterr().out.splitlines()
    total = next(line for line in lines if line.startswith('total '))
    here, there, ratio = map(float, total.split()[1:])
    assert ratio == pytest.approx(there / here, rel=0.05)
    with pytest.raises(RuntimeError, match='false failed with status 1'):
        pipeline.compare(pipeline.PipelineOptions(str(CONFIG), data_root=str(data)), 'false', ('mmseg',))
    assert main_data([*arguments, '--against', 'false']) == 1


def test_the_file_needs_no_package_of_the_project_where_it_runs_alone():
    imported = {
        (getattr(node, 'module', None) or node.names[0].name).partition('.')[0]
        for node in ast.parse(Path(pipeline.__file__).read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert 'mmengine' in imported and not imported & {'mmseg', 'augment', 'wtaseg'}


def test_prints_only_json_to_stdout_on_request(data, capsys):
    threads = cv2.getNumThreads()
    arguments = [
        str(CONFIG),
        '--data-root',
        str(data),
        '--rounds',
        '1',
        '--images',
        '1',
        '--json',
        '/dev/stdout',
    ]
    try:
        assert main_data(arguments) == 0
    finally:
        cv2.setNumThreads(threads)
    assert len(json.loads(capsys.readouterr().out)['total']) == 1


def test_names_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match='--data-root'):
        pipeline.measure(pipeline.PipelineOptions(str(CONFIG), data_root=str(tmp_path)))
    with pytest.raises(ValueError, match='no nonsense_dataloader'):
        pipeline.measure(pipeline.PipelineOptions(str(CONFIG), split='nonsense'))
    assert main_data([str(CONFIG), '--data-root', str(tmp_path)]) == 1
    assert main_data([str(CONFIG), '--rounds', '0']) == 2
