"""``wta-seg predict`` by the thresholds of the operating point, and the script ``infer.py``."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip('onnxruntime', reason='pip install "wta-seg[deploy]"')

from tiny_onnx import CLASSES, write_model

from mmseg.evaluation.inspection import ClassPoint, Curve, OperatingPoint
from mmseg.evaluation.inspection.levels import LEVELS, thresholds
from wtaseg.cli import main as wta_seg
from wtaseg.predict import infer, load_predictor
from wtaseg.predict.rule import DecisionRule


def point_of(levels: dict[str, int], target: float = 0.1) -> OperatingPoint:
    """Thresholds by level; of 20 images, level k gives 25.5 - k / 10 false alarms, and finds all up to itself."""
    alarms = tuple(255 - index for index in range(LEVELS))
    found = {name: tuple(10 - (index > level) for index in range(LEVELS)) for name, level in levels.items()}
    classes = {
        name: ClassPoint(float(thresholds()[level]), 100.0, 0.1, curve=Curve(found[name], alarms, 10))
        for name, level in levels.items()
    }
    return OperatingPoint(classes, target, 20, 1, 3, 0.25)


POINT = point_of({'attached': 60, 'broken': 120})


@pytest.fixture
def photos(tmp_path) -> Path:
    """Smooth colours, so that all classes occur: a PNG, a turned JPEG, and a grey PNG."""
    rng = np.random.default_rng(3)
    folder = tmp_path / 'photos'
    folder.mkdir()
    pixels = cv2.resize(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8), (70, 90))
    Image.fromarray(pixels).save(folder / 'a.png')
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(folder / 'b.jpg', exif=exif, quality=90)
    Image.fromarray(pixels[..., 0]).save(folder / 'c.png')
    return folder


def labels_in(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.array(Image.open(path)) for path in sorted(folder.glob('*.png'))}


def run(*argv) -> int:
    return wta_seg(['predict', *map(str, argv), '--device', 'cpu'])


def test_defects_are_marked_by_the_operating_point_and_the_lists_say_so(photos, tmp_path, capsys):
    model, out = write_model(tmp_path / 'm.onnx', POINT), tmp_path / 'out'
    assert run(model, photos / 'a.png', '--out', out) == 0
    limits = [float(thresholds()[60]), float(thresholds()[120])]
    assert f'at 0.1 false alarms per image (attached from p = {limits[0]:.4g}, ' in capsys.readouterr().out
    shares = load_predictor(model, device='cpu').predict(photos / 'a.png').probabilities
    expected = POINT.segment(torch.from_numpy(shares)).numpy()
    labels = labels_in(out / 'labels')['a']
    assert (labels == expected).all() and set(np.unique(labels)) == {0, 1, 2}
    assert (labels != shares.argmax(0)).any()

    rows = list(csv.DictReader((out / 'defects.csv').open(encoding='utf-8-sig')))
    assert {row['rule'] for row in rows} == {'operating point'}
    assert {(row['class'], float(row['threshold'])) for row in rows} == {
        ('attached', float(f'{limits[0]:.6g}')),
        ('broken', float(f'{limits[1]:.6g}')),
    }
    info = json.loads((out / 'defects.json').read_text())['info']
    assert info == dict(
        rule='operating point',
        false_alarms_per_image=0.1,
        thresholds=dict(attached=limits[0], broken=limits[1]),
    )


def test_argmax_on_request_or_without_an_operating_point(photos, tmp_path):
    for point, flags in ((POINT, ['--argmax']), (None, [])):
        model, out = write_model(tmp_path / 'm.onnx', point), tmp_path / 'out'
        assert run(model, photos / 'a.png', '--out', out, *flags) == 0
        shares = load_predictor(model, device='cpu').predict(photos / 'a.png').probabilities
        assert (labels_in(out / 'labels')['a'] == shares.argmax(0)).all()
        assert json.loads((out / 'defects.json').read_text())['info'] == dict(rule='argmax')
        (row, *_) = csv.DictReader((out / 'defects.csv').open(encoding='utf-8-sig'))
        assert (row['rule'], row['threshold']) == ('argmax', '')


def test_another_rate_comes_from_the_validation_curves(tmp_path):
    model = write_model(tmp_path / 'm.onnx', POINT)
    # 255 - index false alarms on 20 images: at most 9.0 an image from index 75 on
    rule = load_predictor(model, device='cpu', false_alarms=9.0).rule
    assert rule.thresholds['broken'] == pytest.approx(float(thresholds()[120]))
    assert rule.thresholds['attached'] == pytest.approx(
        float(thresholds()[254])
    )  # equal numbers: fewest false alarms
    assert rule.point.target == 9.0 and rule.point.classes['broken'].found == 100
    assert math.isnan(rule.point.classes['broken'].found_interval.low)
    assert load_predictor(model, device='cpu', false_alarms=0.0).rule.thresholds['attached'] is None
    same = load_predictor(model, device='cpu', false_alarms=0.1).rule
    assert same.thresholds == DecisionRule(POINT).thresholds


def test_errors_of_the_rule_name_the_remedy(photos, tmp_path, capsys):
    bare = write_model(tmp_path / 'bare.onnx')
    model = write_model(tmp_path / 'm.onnx', POINT)
    old = write_model(
        tmp_path / 'old.onnx',
        OperatingPoint({n: ClassPoint(0.5, 50.0, 0.1) for n in CLASSES[1:]}, 0.1, 9, 1, 3, 0.2),
    )
    other = write_model(tmp_path / 'other.onnx', point_of({'crack': 3}))
    for argv, message in (
        ((bare, '--false-alarms', 1), 'bare.onnx: --false-alarms: 1; the model has no operating point'),
        ((old, '--false-alarms', 1), 'expected 0.1, or a model validated with this version'),
        ((model, '--false-alarms', -1), 'expected a number per image from 0'),
        ((model, '--false-alarms', 1, '--argmax'), 'leave one of them out'),
        ((other,), 'has the classes crack, the model attached, broken'),
    ):
        assert run(argv[0], photos / 'a.png', '--out', tmp_path / 'out', *argv[1:]) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert message in line


@pytest.mark.parametrize('resized', [dict(), dict(sides=None, size=[40, 56]), dict(resize=[120, 80])])
@pytest.mark.parametrize('point', [POINT, None], ids=['point', 'argmax'])
def test_the_script_beside_a_model_gives_the_same_pixels(photos, tmp_path, resized, point, monkeypatch):
    order = dict(channel_order='BGR', mean=None, std=None) if point is None else {}
    model, out = write_model(tmp_path / 'm.onnx', point, **resized, **order), tmp_path / 'out'
    assert run(model, photos, '--out', out) == 0
    argv = ['infer.py', str(model), str(tmp_path / 'script'), *map(str, sorted(photos.iterdir()))]
    monkeypatch.setattr(sys, 'argv', argv)
    exec(compile(Path(infer.__file__).read_text(), 'infer.py', 'exec'), {'__name__': '__main__'})
    expected, actual = labels_in(out / 'labels'), labels_in(tmp_path / 'script')
    assert sorted(expected) == sorted(actual) == ['a', 'b', 'c']
    for name, labels in expected.items():
        np.testing.assert_array_equal(actual[name], labels)
    assert expected['a'].shape == (90, 70) and expected['b'].shape == (70, 90)
    assert len(np.unique(expected['a'])) == 3


def test_the_script_is_short_and_needs_three_packages(tmp_path):
    source = Path(infer.__file__).read_text()
    blocked = (
        "import sys\nfor name in ('torch', 'cv2', 'mmseg', 'wtaseg', 'mmengine'): sys.modules[name] = None\n"
    )
    script = tmp_path / 'infer.py'
    script.write_text(blocked + source.partition('\nif __name__')[0])
    subprocess.run([sys.executable, '-I', script], check=True)


def test_thresholds_are_applied_alike_by_numpy_and_torch():
    generator = torch.Generator().manual_seed(0)
    shares = torch.rand(4, 200, 200, generator=generator)
    limits = [float(thresholds()[index]) for index in (50, 130, 200)]
    shares[1, :5] = limits[0]
    shares[2, :3] = limits[1]
    point = OperatingPoint(
        {str(i): ClassPoint(limit, 0.0, 0.0) for i, limit in enumerate([*limits[:2], None])},
        0.1,
        1,
        1,
        3,
        0.25,
    )
    by_torch = DecisionRule(point).point.segment(shares).numpy()
    by_numpy = infer.segment(shares.numpy(), [*limits[:2], math.inf])
    assert (by_torch == by_numpy).all() and set(np.unique(by_numpy)) == {0, 1, 2}
    assert (by_numpy[:5] > 0).all()


def test_resizing_is_that_of_opencv_but_for_rounding():
    rng = np.random.default_rng(0)
    for size in ((30, 41), (64, 17), (50, 50)):
        layer = rng.random((50, 37), np.float32)
        expected = cv2.resize(layer, size[::-1], interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(infer.resize(layer[None], size)[0], expected, atol=1e-5)
