"""The segmenter of ``--judge``: reading what ``wta-seg export`` writes, predicting, and its verdict on components."""

import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_judge import export_judge

from augment import shipped
from augment.dataset.components import Stages, find_components, measure_components
from augment.dataset.judge import Judge, Verdict, found, load_judge

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')


@pytest.fixture(scope='module')
def exported(tmp_path_factory) -> Path:
    """A tiny segmenter that tells red from blue."""
    return export_judge(tmp_path_factory.mktemp('judge') / 'reds.onnx')


def with_metadata(source: Path, target: Path, **changes: str | None) -> Path:
    """A copy of an ONNX file with other metadata; None removes a key."""
    model = onnx.load(str(source))
    facts = {p.key: p.value for p in model.metadata_props} | changes
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {k: v for k, v in facts.items() if v is not None})
    onnx.save(model, str(target))
    return target


@pytest.fixture(scope='module')
def image() -> np.ndarray:
    """Grey of 100 x 130 pixels with a red square (limit 160) and a blue one."""
    pixels = np.full((100, 130, 3), 100, np.uint8)
    pixels[10:20, 30:40] = (170, 100, 100)
    pixels[50:60, 80:90] = (100, 100, 175)
    pixels[70:80, 10:20] = (155, 100, 155)  # below both limits
    return pixels


def squares() -> np.ndarray:
    expected = np.zeros((100, 130), np.uint8)
    expected[10:20, 30:40], expected[50:60, 80:90] = 1, 2
    return expected


class TestPrediction:
    def test_mean_std_and_classes_are_those_of_the_file(self, exported, image):
        judge = Judge(exported)
        assert judge.classes == ['defect', 'attached', 'broken']
        assert np.array_equal(judge.predict(image), squares())

    def test_channel_order(self, exported, image, tmp_path):
        # A network for BGR gets the channels reversed, so an image stored the other way round looks the same to it.
        path = with_metadata(exported, tmp_path / 'bgr.onnx', channel_order='BGR')
        predicted = Judge(path).predict(image[..., ::-1])
        assert np.array_equal(predicted, squares())

    def test_an_image_of_another_size_is_resized_and_its_logits_back(self, exported, image, tmp_path):
        path = with_metadata(exported, tmp_path / 'fixed.onnx', sides='null', size='[200, 260]')
        judge = Judge(path)
        assert judge.accepted_size(100, 130) == (200, 260)
        wrong = judge.predict(image) != squares()
        edges = np.zeros_like(wrong)
        for top, left in ((10, 30), (50, 80)):
            edges[top - 1 : top + 11, left - 1 : left + 11] = True
            edges[top + 1 : top + 9, left + 1 : left + 9] = False
        assert not wrong[~edges].any()
        assert Judge(exported).accepted_size(40, 5000) == (64, 4096)

    def test_an_image_is_resized_as_in_the_test_of_the_segmenter(self, exported, image, tmp_path):
        judge = Judge(with_metadata(exported, tmp_path / 'resize.onnx', resize='[390, 390]'))
        assert judge.accepted_size(100, 130) == (300, 390)
        assert judge.accepted_size(5000, 5000) == (390, 390)
        assert (judge.predict(image) != squares()).mean() < 0.01


class TestVerdict:
    def test_shares_and_whether_it_is_found(self):
        label = np.zeros((40, 40), np.uint8)
        label[10:12, 10:12] = 1
        label[30, 30] = 2
        before, after = label.copy(), np.zeros_like(label)
        after[10, 10:12], after[11, 10] = 2, 1
        image = np.full((40, 40, 3), 90, np.uint8)
        verdict = Verdict(before, after, classes=3)
        components = find_components(label, np.ones(label.shape, bool))
        attached, broken = measure_components(
            components, Stages(image, image, image, image), (0, 0), verdict.figures
        )
        assert (attached.judge_defect, attached.judge_class) == (0.75, 0.25)
        assert attached.judge_found and attached.judge_found_before
        assert (broken.judge_defect, broken.judge_class) == (0, 0)
        assert broken.judge_found_before and not broken.judge_found

    def test_a_speck_is_found_where_the_prediction_touches_it(self):
        label = np.zeros((20, 20), np.uint8)
        label[10, 10] = 1
        (speck,) = find_components(label, np.ones(label.shape, bool))
        predicted = np.zeros_like(label)
        predicted[11, 11] = 1
        assert found(predicted, speck)
        assert not found(np.roll(predicted, 1, 0), speck)

    def test_nothing_is_said_about_a_class_that_the_segmenter_lacks(self):
        label = np.zeros((20, 20), np.uint8)
        label[10, 10] = 7
        (speck,) = find_components(label, np.ones(label.shape, bool))
        assert 'judge_class' not in Verdict(label, label, classes=3).figures(speck)


class TestFiles:
    def test_none_is_no_judge(self):
        assert load_judge('none') is None

    def test_missing_files_name_path_and_remedy(self, tmp_path, monkeypatch):
        with pytest.raises(
            FileNotFoundError, match=r'absent\.onnx does not exist; give an ONNX file made by `wta-seg'
        ):
            load_judge(str(tmp_path / 'absent.onnx'))
        monkeypatch.setattr(shipped, 'SEGMENTER', tmp_path / 'segmenter.onnx')
        with pytest.raises(
            FileNotFoundError, match=r'segmenter\.onnx does not exist: this installation has no demo model'
        ):
            load_judge('demo')

    def test_a_file_that_is_no_onnx(self, tmp_path):
        path = tmp_path / 'weights.onnx'
        path.write_bytes(b'no onnx')
        with pytest.raises(ValueError, match=r'weights\.onnx cannot be read as ONNX .*wta-seg export'):
            Judge(path)

    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            ({'mean': None, 'size': None}, 'has no mean, size in its metadata'),
            ({'std': '1, 2'}, 'std in its metadata is no JSON'),
            ({'classes': '["defect"]'}, 'expected the normal surface and at least one defect'),
        ],
    )
    def test_metadata_that_is_missing_or_unusable(self, exported, tmp_path, changes, message):
        path = with_metadata(exported, tmp_path / 'other.onnx', **changes)
        with pytest.raises(ValueError, match=message):
            Judge(path)

    def test_without_onnxruntime(self, exported, monkeypatch):
        monkeypatch.setitem(sys.modules, 'onnxruntime', None)
        with pytest.raises(ValueError, match=r'needs onnxruntime .*pip install "wta-seg\[deploy\]"'):
            Judge(exported)
