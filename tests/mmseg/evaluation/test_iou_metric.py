import json
import re
import runpy
import warnings
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from PIL import Image

from mmseg.evaluation import IoUMetric
from mmseg.evaluation.metrics import iou_metric
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample

PARITY = Path(__file__).parents[2] / 'parity'
CLASSES = ('defect', 'attached', 'broken')


def evaluate(labels, preds, **kwargs):
    metric = METRICS.build(dict(type='IoUMetric', **kwargs))
    metric.dataset_meta = dict(classes=CLASSES)
    for i, (label, pred) in enumerate(zip(labels, preds)):
        sample = SegDataSample(metainfo=dict(img_path=f'/somewhere/{i}.jpg'))
        sample.gt_sem_seg = PixelData(data=torch.as_tensor(label)[None])
        sample.pred_sem_seg = PixelData(data=torch.as_tensor(pred)[None])
        metric.process({}, [sample.to_dict()])
    return metric.evaluate(len(labels))


def test_recorded_figures():
    recorded = json.loads((PARITY / 'metrics.json').read_text())['result']
    label = runpy.run_path(str(PARITY / 'fill.py'))['label']
    draw = np.random.RandomState(9)
    labels, preds = [], []
    for i in range(4):
        gt, keep = label(1, 40, 48, 3, seed=20 + i), torch.from_numpy(draw.random_sample((1, 40, 48)) < 0.7)
        preds.append(torch.where(keep, gt.clamp(max=2), label(1, 40, 48, 3, seed=40 + i).clamp(max=2))[0])
        labels.append(gt[0])
    scores = evaluate(labels, preds, iou_metrics=['mIoU', 'mDice', 'mFscore'])
    assert {name: scores[name] for name in recorded} == pytest.approx(recorded, abs=5e-3)


def test_areas_that_stay_on_the_device_until_the_end(monkeypatch):
    expected = evaluate([LABEL, PRED], [PRED, PRED])
    areas = iou_metric._areas

    class OnDevice(torch.Tensor):
        is_cuda = True

    monkeypatch.setattr(iou_metric, '_areas', lambda *args: areas(*args).as_subclass(OnDevice))
    assert evaluate([LABEL, PRED], [PRED, PRED]) == expected


# Areas of the case below, class by class: intersection 4, 1, 1; predicted 5, 1, 2; labelled 5, 2, 1;
# union 5 + 5 − 4 = 6, 2, 2. One pixel is ignored.
LABEL = [[0, 0, 0], [0, 0, 1], [1, 2, 255]]
PRED = [[0, 0, 0], [0, 2, 1], [0, 2, 2]]


def test_by_hand():
    scores = evaluate([LABEL], [PRED], iou_metrics=['mIoU', 'mDice', 'mFscore'], beta=2)
    iou, acc = [66.67, 50, 50], [80, 50, 100]
    dice = [80, 66.67, 66.67]
    precision = [80, 100, 50]
    # F_2 = 5 p r / (4 p + r)
    fscore = [80, round(500 * 0.5 / 4.5, 2), round(500 * 0.5 / 3, 2)]
    expected = {'aAcc': 75.0}
    for name, values in dict(
        IoU=iou, Acc=acc, Dice=dice, Fscore=fscore, Precision=precision, Recall=acc
    ).items():
        expected[f'm{name}'] = sum(values) / 3
        expected.update({f'{name}.{c}': v for c, v in zip(CLASSES, values)})
    expected.update(foreground_mIoU=50.0, foreground_mAcc=75.0)
    assert scores == pytest.approx(expected, abs=6e-3)
    assert all(type(value) is float for value in scores.values())  # numpy's would not load with weights_only


def test_areas_add_up_over_images():
    whole = evaluate([LABEL], [PRED])
    rows = evaluate([[row] for row in LABEL], [[row] for row in PRED])
    assert whole == rows


def test_absent_class_is_warned_about_and_not_averaged():
    label = [[0, 0, 0, 1]]
    with pytest.warns(UserWarning, match='no pixel of class broken in the ground truth'):
        scores = evaluate([label], [[[0, 0, 2, 1]]])
    assert isnan(scores['IoU.broken']) and isnan(scores['Acc.broken'])
    assert (scores['foreground_mIoU'], scores['foreground_mAcc']) == (100.0, 100.0)
    # mmsegmentation's mean: IoU 2/3, 1 and 0 of what was predicted wrongly; the accuracy is 0/0 and left out.
    assert (scores['mIoU'], scores['mAcc']) == (pytest.approx(55.56), pytest.approx(83.33))


def test_class_absent_from_both_is_in_no_mean():
    with pytest.warns(UserWarning, match='attached, broken'):
        scores = evaluate([[[0, 0]]], [[[0, 0]]])
    assert (scores['mIoU'], scores['mAcc'], scores['IoU.defect']) == (100, 100, 100)
    assert isnan(scores['foreground_mIoU']) and isnan(scores['foreground_mAcc'])


def test_nan_to_num_does_not_add_absent_classes_to_the_mean():
    with pytest.warns(UserWarning, match='broken'):
        scores = evaluate([[[0, 1]]], [[[0, 1]]], nan_to_num=0)
    assert (scores['mIoU'], scores['IoU.broken']) == (pytest.approx(66.67), 0)
    assert scores['foreground_mIoU'] == 100


def test_no_warning_if_every_class_is_present():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        evaluate([LABEL], [PRED], prefix='val')


def test_ids_of_no_class_are_errors_not_crashes():
    # Label 7 is no class: its pixel counts against the predicted class alone. Prediction 9 misses class 1.
    areas = IoUMetric.intersect_and_union(torch.tensor([0, 0, 9, 1]), torch.tensor([0, 7, 1, 255]), 2, 255)
    assert [area.tolist() for area in areas] == [[1, 0], [2, 1], [2, 0], [1, 1]]


def test_counts_are_exact_beyond_float32():
    large = np.array([2**25 + 1, 1], dtype=np.int64)
    scores = IoUMetric.total_area_to_metrics(large, large + 2, large + 1, large + 1)
    assert scores['IoU'][0] == (2**25 + 1) / (2**25 + 3)


def test_prints_the_table_per_class(monkeypatch):
    printed = []
    monkeypatch.setattr(iou_metric, 'print_log', lambda text, *args, **kwargs: printed.append(text))
    evaluate([LABEL], [PRED])
    assert printed == [
        'per class results:',
        '\n'
        '+----------+-------+-------+\n'
        '|  Class   |  IoU  |  Acc  |\n'
        '+----------+-------+-------+\n'
        '|  defect  | 66.67 |  80.0 |\n'
        '| attached |  50.0 |  50.0 |\n'
        '|  broken  |  50.0 | 100.0 |\n'
        '+----------+-------+-------+',
    ]


def test_writes_predictions(tmp_path):
    scores = evaluate([LABEL], [PRED], output_dir=str(tmp_path / 'out'), format_only=True)
    assert scores == {}
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['0.png']
    assert np.array(Image.open(tmp_path / 'out' / '0.png')).tolist() == PRED


def test_writes_the_ids_of_the_label_files(tmp_path):
    metric = IoUMetric(output_dir=str(tmp_path), format_only=True)
    metric.dataset_meta = dict(classes=CLASSES)
    ids = torch.tensor([[[0, 1]]])
    metric.process({}, [dict(pred_sem_seg=dict(data=ids), img_path='a.b.png', reduce_zero_label=True)])
    assert np.array(Image.open(tmp_path / 'a.b.png')).tolist() == [[1, 2]]


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=re.escape("['mAP'] are unknown")):
        IoUMetric(iou_metrics=['mIoU', 'mAP'])
    with pytest.raises(ValueError, match='needs output_dir'):
        IoUMetric(format_only=True)
    with pytest.raises(ValueError, match='beta must be above 0'):
        IoUMetric(beta=0)
    with pytest.raises(ValueError, match=r'0\.jpg differ in size'):
        evaluate([LABEL], [PRED[:2]])
    with pytest.warns(UserWarning, match="'classwise'.* no effect"):
        IoUMetric(classwise=True)
