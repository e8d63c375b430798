"""``InspectionMetric`` against slow references and scikit-learn."""

import copy
import itertools
import json
import math
import pickle
import re

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from scipy import ndimage
from skimage.measure import label as label_components
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch.overrides import TorchFunctionMode

from mmseg.evaluation.inspection.counts import read_maps
from mmseg.evaluation.inspection.levels import LEVELS, probabilities, thresholds, to_levels
from mmseg.evaluation.inspection.matching import Rule, find_defects, match
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample

CLASSES = ('normal', 'attached', 'broken')
SHAPE = (36, 40)


def sample_of(logits, label):
    sample = SegDataSample(metainfo=dict(img_path='/somewhere/0.jpg'))
    logits = torch.as_tensor(logits, dtype=torch.float32)
    predicted = logits.argmax(0, keepdim=True) if len(logits) > 1 else (logits > 0.5).long()
    sample.set_data(
        dict(
            seg_logits=PixelData(data=logits),
            pred_sem_seg=PixelData(data=predicted),
            gt_sem_seg=PixelData(data=torch.as_tensor(np.ascontiguousarray(label))[None]),
        )
    )
    return sample.to_dict()


def evaluate(samples, classes=CLASSES, apply=None, **arguments):
    metric = METRICS.build(dict(type='InspectionMetric', **arguments))
    metric.dataset_meta = dict(classes=classes)
    metric.apply(apply)
    for sample in samples:
        metric.process({}, [sample])
    return metric.evaluate(len(samples)), metric


@pytest.fixture(scope='module')
def samples():
    """Eight images; a third has no defect, and every tenth pixel row is ignored in the last."""
    rng = np.random.default_rng(5)
    made = []
    for index in range(8):
        label = np.zeros(SHAPE, np.int64)
        for class_id in (1, 2) if index % 3 else ():
            blobs = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1)
            label[blobs > 2.2 * blobs.std()] = class_id
        logits = ndimage.gaussian_filter(rng.normal(size=(3, *SHAPE)), (0, 1.2, 1.2)) * 6
        logits += 5 * ndimage.gaussian_filter(np.eye(3)[label].transpose(2, 0, 1), (0, 0.8, 0.8))
        logits[0] += 2
        made.append((logits, label))
    made[-1][1][::10] = 255
    return [sample_of(*one) for one in made]


def arrays(sample):
    probability = probabilities(sample['seg_logits']['data'])
    return probability, sample['gt_sem_seg']['data'][0].numpy()


def test_levels_are_the_thresholds_that_are_reached():
    grid = thresholds()
    probability = torch.from_numpy(np.concatenate([grid, [0.0, 1.0, 0.5], np.nextafter(grid, np.float32(0))]))
    expected = (probability.numpy()[:, None] >= grid).sum(axis=1)
    assert to_levels(probability).tolist() == expected.tolist()
    assert to_levels(torch.tensor([float('nan')])).tolist() == [0]
    assert (np.diff(grid) > 0).all() and len(grid) == LEVELS


def test_pixel_average_precision_is_that_of_scikit_learn(samples):
    scores, _ = evaluate(samples)
    for index in (1, 2):
        parts = [arrays(sample) for sample in samples]
        used = np.concatenate([(label != 255).ravel() for _, label in parts])
        positive = np.concatenate([(label == index).ravel() for _, label in parts])[used]
        raw = np.concatenate([p[index].numpy().ravel() for p, _ in parts])[used]
        quantised = to_levels(torch.from_numpy(raw)).numpy()
        value = scores[f'AP.{CLASSES[index]}']
        assert value == pytest.approx(100 * average_precision_score(positive, quantised), abs=6e-3)
        # 255 levels in place of all values
        assert value == pytest.approx(100 * average_precision_score(positive, raw), abs=1)


def test_image_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    samples, defective, highest = [], [], []
    for index in range(50):
        label = np.zeros((4, 5), np.int64)
        label[1, 1] = index % 2
        logits = rng.normal(size=(2, 4, 5)) + np.array([0, 0.8 * (index % 2)])[:, None, None]
        samples.append(sample_of(logits, label))
        defective.append(index % 2)
        highest.append(float((1 - arrays(samples[-1])[0][0]).max()))
    scores, _ = evaluate(samples, CLASSES[:2])
    false, true, _ = roc_curve(defective, highest, drop_intermediate=False)
    assert scores['ImageAUROC'] == pytest.approx(100 * roc_auc_score(defective, highest), abs=6e-3)
    assert scores['ImageRecall95'] == pytest.approx(100 * true[false <= 0.05].max(), abs=6e-3)


def test_image_figures_are_nan_without_normal_images(samples):
    scores, _ = evaluate(samples[1:3])
    assert math.isnan(scores['ImageAUROC']) and math.isnan(scores['ImageRecall95'])


def test_per_region_overlap_equals_a_slow_reference(samples):
    scores, _ = evaluate(samples)
    maps = []
    for sample in samples:
        probability, label = arrays(sample)
        anomaly = to_levels((1 - probability[0]).masked_fill(torch.from_numpy(label == 255), 0)).numpy()
        maps.append((anomaly, label, label_components((label > 0) & (label != 255), connectivity=2)))
    curve = [(0.0, 0.0)]
    for threshold in range(LEVELS, -1, -1):
        overlaps, false, normal = [], 0, 0
        for anomaly, label, regions in maps:
            overlaps += [(anomaly[regions == i] >= threshold).mean() for i in range(1, regions.max() + 1)]
            false += (anomaly[label == 0] >= threshold).sum()
            normal += (label == 0).sum()
        curve.append((false / normal, np.mean(overlaps)))
    # area of a polygon up to 0.3, segment by segment
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        end = min(x1, 0.3)
        if end > x0:
            y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
            area += (end - x0) * (y0 + y_end) / 2
    assert scores['PRO'] == pytest.approx(100 * area / 0.3, abs=6e-3)


def test_figures_of_the_most_probable_class(samples):
    scores, _ = evaluate(samples, min_area=2)
    rule = Rule(min_area=2)
    for index in (1, 2):
        found, defects, hits, alarms = 0, 0, 0, 0
        for sample in samples:
            probability, label = arrays(sample)
            predicted = (probability.argmax(0).numpy() == index) & (label != 255)
            of_class = find_defects(label == index, rule)
            result = match(predicted, of_class, rule)
            found, defects = found + result.found, defects + of_class.count_by_bin
            hits, alarms = hits + result.hits, alarms + result.false_alarms
        name = CLASSES[index]
        assert scores[f'Found.{name}'] == pytest.approx(100 * found.sum() / defects.sum(), abs=6e-3)
        assert scores[f'Found_to5.{name}'] == pytest.approx(100 * found[0] / defects[0], abs=6e-3)
        assert scores[f'DetPrecision.{name}'] == pytest.approx(100 * hits / (hits + alarms), abs=6e-3)
        assert scores[f'FA.{name}'] == pytest.approx(alarms / len(samples), abs=6e-5)
    assert scores['mFound'] == pytest.approx(
        (scores['Found.attached'] + scores['Found.broken']) / 2, abs=0.02
    )
    assert all(type(value) is float for value in scores.values())  # numpy's would not load with weights_only


@pytest.mark.parametrize('target', [0.3, 2])
def test_the_operating_point_finds_most_within_the_allowed_false_alarms(samples, target):
    scores, metric = evaluate(samples, choose_operating_point=True, false_alarms=target)
    rule, grid = Rule(), thresholds()
    for index, (name, point) in enumerate(metric.inspection.point.classes.items(), start=1):
        table = {}
        for threshold in grid:
            found = alarms = defects = 0
            for sample in samples:
                probability, label = arrays(sample)
                of_class = find_defects(label == index, rule)
                mask = (probability[index].numpy() >= threshold) & (label != 255)
                result = match(mask, of_class, rule)
                found, alarms = found + result.found.sum(), alarms + result.false_alarms
                defects += len(of_class.bins)
            table[float(threshold)] = (100 * found / defects, alarms / len(samples))
        best = max(found for found, alarms in table.values() if alarms <= target)
        fewest = min(alarms for found, alarms in table.values() if found == best)
        assert (point.found, point.false_alarms) == pytest.approx((best, fewest))
        assert table[point.threshold] == pytest.approx((best, fewest))
        assert scores[f'OPFound.{name}'] == pytest.approx(best, abs=6e-3)
        assert scores[f'OPFA.{name}'] == pytest.approx(fewest, abs=6e-5)
        assert point.found_interval.low <= point.found <= point.found_interval.high
        assert point.threshold_interval.low <= point.threshold_interval.high

    # applied to the same images it gives the same figures, from the masks of its thresholds
    applied, _ = evaluate(samples, apply=metric.inspection.point)
    keys = [key for key in scores if key.startswith(('OP', 'mOP'))]
    assert {key: applied[key] for key in keys} == pytest.approx(
        {key: scores[key] for key in keys}, nan_ok=True
    )


def test_without_an_operating_point_a_test_chooses_none(samples):
    scores, metric = evaluate(samples)
    assert not [key for key in scores if 'OP' in key] and metric.inspection.point is None


def test_curves_are_plain_and_end_where_the_table_says(samples):
    _, metric = evaluate(samples, choose_operating_point=True)
    content = json.loads(json.dumps(metric.inspection.content))
    curves = content['classes']['broken']
    assert len(content['thresholds']) == len(curves['false_alarms']) == len(curves['found']['all']) == LEVELS
    point = content['operating_point']['classes']['broken']
    at = int(np.argmin(np.abs(np.array(content['thresholds']) - point['threshold'])))
    assert curves['found']['all'][at] == pytest.approx(point['found'], abs=6e-3)


def test_a_one_channel_head():
    label = np.zeros((30, 30), np.int64)
    label[2:4, 2:4] = 1
    probability = np.where(label == 1, 0.9, 0.2)[None]
    scores, _ = evaluate([sample_of(probability, label)], ('normal', 'crack'), choose_operating_point=True)
    assert (scores['OPFound.crack'], scores['OPFA.crack'], scores['AP.crack']) == (100, 0, 100)
    assert 0.2 < scores['OPThreshold.crack'] <= 0.9


def test_what_is_kept_of_an_image_is_small():
    rng = np.random.default_rng(0)
    logits = ndimage.gaussian_filter(rng.normal(size=(3, 256, 256)), (0, 2, 2)) * 20
    label = rng.integers(0, 3, (256, 256))
    metric = METRICS.build(dict(type='InspectionMetric'))
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, [sample_of(logits, label)])
    (counts,) = (one.result() for one in metric.results)
    assert len(pickle.dumps(counts)) < 40_000


def test_errors_name_what_is_wrong(samples):
    for broken, message in (
        ({'seg_logits': None}, 'has no seg_logits'),
        ({'seg_logits': dict(data=torch.zeros(5, *SHAPE))}, re.escape('logits of (5, 36, 40)')),
        ({'seg_logits': dict(data=torch.zeros(3, 4, 4))}, re.escape('logits of (3, 4, 4)')),
    ):
        sample = {**samples[0], **broken}
        sample = {key: value for key, value in sample.items() if value is not None}
        with pytest.raises(ValueError, match=message):
            evaluate([sample])
    with pytest.raises(ValueError, match='false_alarms=-1'):
        METRICS.build(dict(type='InspectionMetric', false_alarms=-1))
    _, metric = evaluate(samples, choose_operating_point=True)
    with pytest.raises(ValueError, match='has the classes attached, broken, the dataset crack'):
        evaluate(samples[:1], ('normal', 'crack'), apply=metric.inspection.point)


class Transfers(TorchFunctionMode):
    """Counts what would copy a tensor of a GPU to the host, or wait for it."""

    NAMES = ('cpu', 'item', 'tolist', 'numpy', '__float__', '__bool__', '__int__', 'nonzero', 'masked_select')

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if (name := getattr(function, '__name__', '')) in self.NAMES:
            self.calls.append(name)
        return function(*args, **(kwargs or {}))


def test_an_image_leaves_its_device_in_two_transfers(samples):
    _, metric = evaluate(samples, choose_operating_point=True)
    point = metric.inspection.point
    for classes in (3, 6):
        probability = torch.rand(classes, 20, 30).softmax(0)
        label = torch.randint(0, classes, (20, 30))
        marked = point.masks(probability) if classes == 3 else None
        with Transfers() as transfers:
            read_maps(probability, probability.argmax(0), label, 255, marked)
        # numpy() is of what is on the host already
        assert transfers.calls == ['cpu', 'numpy', 'cpu', 'numpy']


def test_labels_of_no_class_are_neither_defects_nor_normal():
    label = torch.zeros(6, 8, dtype=torch.long)
    label[1:3, 1:3], label[4, 4], label[5, 5] = 1, 7, 255
    probability = torch.full((2, 6, 8), 0.5)
    maps = read_maps(probability, probability.argmax(0), label, 255)
    assert maps.label.tolist() == (label == 1).int().tolist()
    positives, negatives, normal = maps.histograms.sum(axis=1)
    assert (positives, negatives, normal) == (4, 6 * 8 - 4 - 1, 6 * 8 - 4 - 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_on_a_gpu_as_on_the_cpu(samples):
    def on_the_gpu(sample):
        sample = copy.deepcopy(sample)
        for part in ('seg_logits', 'pred_sem_seg'):
            sample[part]['data'] = sample[part]['data'].cuda()
        return sample

    names = ('seg_logits', 'pred_sem_seg', 'gt_sem_seg')
    for sample in samples:
        host, device = (
            read_maps(
                probabilities(one[0]['data']),
                one[1]['data'][0],
                one[2]['data'][0].to(one[0]['data'].device),
                255,
            )
            for one in ([part[name] for name in names] for part in (sample, on_the_gpu(sample)))
        )
        assert np.array_equal(host.label, device.label) and np.array_equal(host.predicted, device.predicted)
        # a probability may round to the next of 255 levels
        distance = np.abs(host.levels.astype(int) - device.levels)
        assert distance.max() <= 1 and distance.mean() < 1e-3
        assert np.abs(host.histograms - device.histograms).sum() <= 4 * distance.sum()
        assert host.histograms.sum() == device.histograms.sum()
    scores, _ = evaluate(samples)
    on_gpu, _ = evaluate([on_the_gpu(sample) for sample in samples], choose_operating_point=True)
    assert set(on_gpu) > set(scores)
    for name in ('AP.attached', 'AP.broken', 'ImageAUROC'):
        assert on_gpu[name] == pytest.approx(scores[name], abs=1)
