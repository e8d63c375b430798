"""``wta-seg tools``: what it prints and writes."""

import csv
import hashlib
import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from wtaseg.cli import main
from wtaseg.tools.training_logs import read_curves

CONFIG = 'fastscnn/fast_scnn_1xb8-1k_wta_demo-96x96'


def run(capsys, *words):
    status = main(['tools', *map(str, words)])
    return status, capsys.readouterr()


def test_print_config(capsys, tmp_path):
    status, printed = run(capsys, 'print-config', CONFIG, '--cfg-options', 'train_cfg.max_iters=7')
    path = tmp_path / 'printed.py'
    path.write_text(printed.out)
    cfg = Config.fromfile(path)
    assert status == 0 and cfg.train_cfg.max_iters == 7 and cfg.model.decode_head.num_classes == 3


@pytest.mark.parametrize('split', ['train', 'val'])
def test_browse_dataset(capsys, tmp_path, blades, split):
    words = ('browse-dataset', CONFIG, '--data', blades, '--out', tmp_path, '--count', 3, '--split', split)
    status, printed = run(capsys, *words)
    files = sorted(tmp_path.iterdir())
    assert status == 0 and [str(file) for file in files] == printed.out.split()
    assert [file.name for file in files] == ['0000_0.png', '0001_1.png', '0002_2.png']
    assert all(cv2.imread(str(file)).std() > 10 for file in files)


def test_browse_dataset_is_the_same_with_the_same_seed(capsys, tmp_path, blades):
    for folder in ('a', 'b'):
        run(
            capsys,
            'browse-dataset',
            CONFIG,
            '--data',
            blades,
            '--output-dir',
            tmp_path / folder,
            '--count',
            1,
        )
    assert (tmp_path / 'a/0000_0.png').read_bytes() == (tmp_path / 'b/0000_0.png').read_bytes()


@pytest.fixture
def log(tmp_path):
    path = tmp_path / 'run/20260101_000000/vis_data/20260101_000000.json'
    path.parent.mkdir(parents=True)
    rows = [dict(lr=0.1, loss=2.0, iter=50, step=50), dict(mIoU=30.0, step=100), dict(mIoU=41.5, step=200)]
    path.write_text('\n'.join(map(json.dumps, rows)) + '\n{"mIoU": 4')
    return path


def test_analyze_logs(capsys, tmp_path, log):
    assert read_curves(log.parents[2])['mIoU'] == {100: 30.0, 200: 41.5}
    out = tmp_path / 'logs.png'
    words = ('--keys', 'mIoU', 'loss', '--legend', 'a', 'b', '--out', out)
    assert run(capsys, 'analyze-logs', log, *words)[0] == 0
    assert cv2.imread(str(out)).shape[2] == 3


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--keys', 'mIuo'], "has no 'mIuo', expected one of loss, lr, mIoU"),
        (['--legend', 'a', 'b'], '--legend has 2 names, expected one per log and key: 1'),
    ],
)
def test_analyze_logs_names_what_is_there(capsys, log, words, message):
    status, printed = run(capsys, 'analyze-logs', log, *words)
    assert status == 1 and message in printed.err


def test_confusion_matrix(capsys, tmp_path, blades):
    predictions = tmp_path / 'predictions'
    predictions.mkdir()
    total = np.zeros((3, 3), np.int64)
    for path in (blades / 'ann_dir/test').iterdir():
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        predicted = np.where(label == 2, 1, label)
        predicted[0, 0] = 2
        cv2.imwrite(str(predictions / path.name), predicted)
        np.add.at(total, (label, predicted), 1)
    status, _ = run(capsys, 'confusion-matrix', CONFIG, predictions, tmp_path / 'out', '--data', blades)
    with (tmp_path / 'out/confusion_matrix.csv').open() as file:
        rows = list(csv.reader(file))
    assert status == 0 and rows[0][1:] == ['defect', 'attached', 'broken']
    assert np.array_equal(np.array([row[1:] for row in rows[1:]], int), total)
    assert total[2, 1] > 0 == total[2, 2]
    assert cv2.imread(str(tmp_path / 'out/confusion_matrix.png')) is not None

    (predictions / '3.png').unlink()
    status, printed = run(capsys, 'confusion-matrix', CONFIG, predictions, tmp_path / 'out', '--data', blades)
    assert status == 1 and '3.png: no such prediction' in printed.err and 'wta-seg test' in printed.err


def test_publish_model(capsys, tmp_path):
    state = dict(weight=torch.arange(3.0))
    content = dict(
        state_dict=state,
        meta=dict(dataset_meta=dict(classes=('a', 'b'))),
        optimizer=dict(state=torch.zeros(100)),
        param_schedulers=[{}],
        message_hub=dict(runtime_info=dict(cfg='model = 1')),
    )
    torch.save(content, tmp_path / 'in.pth')
    status, printed = run(capsys, 'publish-model', tmp_path / 'in.pth', tmp_path / 'model.pth')
    (path,) = tmp_path.glob('model*')
    assert status == 0 and printed.out.strip() == str(path)
    assert path.name == f'model-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth'
    published = torch.load(path, weights_only=True)
    assert set(published) == {'state_dict', 'meta'}
    assert torch.equal(published['state_dict']['weight'], state['weight'])
    assert published['meta'] == dict(dataset_meta=dict(classes=('a', 'b')), cfg='model = 1')
