"""``wta-seg predict`` by the thresholds of the operating point, and the script ``infer.py``."""

import ast
import csv
import io
import json
import math
import subprocess
import sys
import tokenize
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


def number_of_code_lines(source: str) -> int:
    """Lines that are not blank and hold more than comments and docstrings."""
    blank = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    tokens = [one for one in tokenize.generate_tokens(io.StringIO(source).readline) if one.type not in blank]
    lines = {number for one in tokens for number in range(one.start[0], one.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_the_script_is_short_and_needs_three_packages(tmp_path):
    source = Path(infer.__file__).read_text()
    assert number_of_code_lines(source) <= 40
    blocked = (
        "import sys\nfor name in ('torch', 'cv2', 'mmseg', 'wtaseg', 'mmengine'): sys.modules[name] = None\n"
    )
    script = tmp_path / 'infer.py'
    script.write_text(blocked + source.partition('\nif __name__')[0])
    subprocess.run([sys.executable, '-I', script], check=True)


def test_thresholds_are_applied_alike_by_numpy_and_torch():
    logits = torch.randn(4, 200, 200, generator=torch.Generator().manual_seed(0)).numpy()
    classes, shares = infer.decide(logits, (200, 200), None)
    assert (classes == shares.argmax(0)).all()
    # at some pixels a probability is the threshold itself
    places = {1: (4, 7), 2: (9, 3)}
    limits = {index: float(shares[index][place]) for index, place in places.items()}
    point = OperatingPoint(
        {str(i): ClassPoint(limits.get(i), 0.0, 0.0) for i in (1, 2, 3)}, 0.1, 1, 1, 3, 0.25
    )
    by_torch = DecisionRule(point).point.segment(torch.from_numpy(shares)).numpy()
    by_numpy, again = infer.decide(logits, (200, 200), point.to_dict())
    assert (again == shares).all() and (by_torch == by_numpy).all() and set(np.unique(by_numpy)) == {0, 1, 2}
    assert all(by_numpy[place] > 0 for place in places.values())


def test_a_single_logit_is_that_of_the_defect():
    logits = np.float32([[[-2.0, 0.5], [0.0, 3.0]]])
    classes, shares = infer.decide(logits, (2, 2), None)
    np.testing.assert_allclose(shares[1], 1 / (1 + np.exp(-logits[0])), rtol=1e-6)
    np.testing.assert_array_equal(classes, [[0, 1], [0, 1]])


def test_resizing_is_that_of_opencv_but_for_rounding():
    rng = np.random.default_rng(0)
    for size in ((30, 41), (64, 17), (50, 50)):
        layer = rng.random((50, 37), np.float32)
        expected = cv2.resize(layer, size[::-1], interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(infer.resize(layer[None], size)[0], expected, atol=1e-5)
