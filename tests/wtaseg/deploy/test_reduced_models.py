"""Models of fewer bits: how they are made, calibrated, compared and refused; the whole ``wta-seg export``."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('onnxruntime', reason='pip install "wta-seg[deploy]"')
pytest.importorskip('onnxscript', reason='pip install "wta-seg[deploy]"')

import onnx
from mmengine.config import Config
from mmengine.structures import PixelData
from tiny_onnx import write_model

from mmseg.apis import export_onnx, init_model
from mmseg.apis.export_onnx import Export, ExportError
from mmseg.evaluation.inspection import ClassPoint, OperatingPoint, read_operating_point
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample
from mmseg.utils.config_file import read_config
from mmseg.utils.from_scratch import drop_pretrained
from wtaseg.bench.flops import fit_image_size
from wtaseg.cli import main as wta_seg
from wtaseg.deploy import export as exporting
from wtaseg.deploy.comparison import Quality, latency, quality_of, table
from wtaseg.deploy.images import Reader, choose_images, images_of
from wtaseg.deploy.precision import Precision, to_fp16, to_int8
from wtaseg.predict.onnx_model import OnnxPredictor

ROOT = Path(__file__).resolve().parents[3]
POINT = OperatingPoint(
    {'attached': ClassPoint(0.35, 80.0, 0.1), 'broken': ClassPoint(0.3, 80.0, 0.1)}, 0.1, 8, 1, 3, 0.25
)


@pytest.fixture
def config(experiment) -> Path:
    """Config of the tiny experiment, as a file."""
    cfg = experiment()
    path = Path(cfg.work_dir).parent / 'tiny.py'
    cfg.dump(path)
    return path


def pairs_of(config: Path, split: str = 'val'):
    cfg = Config.fromfile(config)
    reader = Reader(cfg)
    return [reader.pair(image) for image in images_of(cfg, split)]


def test_images_and_labels_are_those_of_the_split(config, blades):
    images = images_of(Config.fromfile(config), 'val')
    assert [Path(image.path).parent for image in images] == [blades / 'img_dir/val'] * 8
    assert all(image.present() == {0, 1, 2} for image in images)
    for pixels, labels in pairs_of(config):
        assert pixels.shape == (64, 64, 3) and set(np.unique(labels)) == {0, 1, 2}
        assert pixels[labels == 1][:, 1].mean() > 140  # class 1 is green


def test_calibration_images_have_the_shares_of_the_classes():
    normal, one, both = frozenset({0}), frozenset({0, 1}), frozenset({0, 1, 2})
    present = [normal] * 60 + [one] * 38 + [both] * 2
    chosen = choose_images(present, 20)
    kinds = [present[index] for index in chosen]
    assert (kinds.count(normal), kinds.count(one), kinds.count(both)) == (12, 8, 1)
    assert len(set(chosen)) == len(chosen) and max(chosen) >= 98
    assert choose_images(present[:3], 20) == [0, 1, 2]


def test_quality_is_that_of_the_metrics(config, tmp_path):
    pairs = pairs_of(config)[:3]
    for point in (POINT, None):
        predictor = OnnxPredictor(write_model(tmp_path / 'm.onnx', point, mean=[60.0] * 3), 'cpu')
        metrics = [METRICS.build(dict(type=name)) for name in ('IoUMetric', 'InspectionMetric')]
        for metric in metrics:
            metric.dataset_meta = dict(classes=predictor.classes)
        metrics[1].apply(point)
        for pixels, labels in pairs:
            shares = torch.from_numpy(predictor.predict(pixels).probabilities)
            sample = SegDataSample(
                seg_logits=PixelData(data=shares.log()),
                pred_sem_seg=PixelData(data=shares.argmax(0)[None]),
                gt_sem_seg=PixelData(data=torch.from_numpy(labels)[None].long()),
            ).to_dict()
            for metric in metrics:
                metric.process({}, [sample])
        scores = {key: value for metric in metrics for key, value in metric.evaluate(len(pairs)).items()}
        prefix = 'OP' if point else ''
        result = quality_of(predictor, pairs)
        assert result.foreground_miou == pytest.approx(scores['foreground_mIoU'], abs=6e-3)
        assert result.found == scores[f'm{prefix}Found'] and result.found > 20
        alarms = scores[f'{prefix}FA.attached'] + scores[f'{prefix}FA.broken']
        assert result.false_alarms == pytest.approx(alarms)


def test_models_of_fewer_bits_keep_metadata_and_results(config, tmp_path):
    source = write_model(tmp_path / 'm.onnx', POINT)
    full, pairs = OnnxPredictor(source, 'cpu'), pairs_of(config)
    inputs = [full.load(pixels).inputs[None] for pixels, _ in pairs]
    to_fp16(source, tmp_path / 'fp16.onnx')
    to_int8(source, tmp_path / 'int8.onnx', inputs)
    for name, tolerance in (('fp16', 3e-3), ('int8', 0.06)):
        path = tmp_path / f'{name}.onnx'
        reduced = OnnxPredictor(path, 'cpu')
        assert reduced.classes == full.classes and read_operating_point(path).thresholds == POINT.thresholds
        for pixels, _ in pairs:
            actual, expected = (one.predict(pixels).probabilities for one in (reduced, full))
            np.testing.assert_allclose(actual, expected, atol=tolerance)
        assert (actual != expected).any()
        # another size than the calibration's
        assert reduced.predict(pairs[0][0][:40, :50]).labels.shape == (40, 50)
        assert latency(reduced, (32, 32)) > 0
    nodes = onnx.load(tmp_path / 'int8.onnx').graph.node
    quantised = {name for node in nodes if node.op_type == 'DequantizeLinear' for name in node.input}
    assert 'first_quantized' in quantised and 'last_quantized' not in quantised  # the logits stay float32
    halves = {weight.data_type for weight in onnx.load(tmp_path / 'fp16.onnx').graph.initializer}
    assert halves == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize(
    ('after', 'reason'),
    [
        ((38.9, 70.0, 0.1), 'foreground mIoU falls from 40.00 to 38.90 %, allowed are 1 points'),
        ((40.0, 68.0, 0.1), 'defects found falls from 70.00 to 68.00 %'),
        ((math.nan, 70.0, 0.1), 'foreground mIoU falls from 40.00 to nan'),
        ((39.1, 69.5, 9.0), None),
        ((60.0, 90.0, 0.1), None),
    ],
)
def test_a_loss_beyond_the_limit_is_refused(after, reason):
    arguments = Quality(40.0, 70.0, 0.1), Quality(*after), 1.0, Path('m_int8.onnx')
    if reason is None:
        exporting.refuse_loss(*arguments)
        return
    with pytest.raises(ExportError) as error:
        exporting.refuse_loss(*arguments)
    assert str(error.value).startswith(f'm_int8.onnx: not written. {reason}')


@pytest.fixture
def no_tracing(monkeypatch, tmp_path):
    """``wta-seg export`` with a model made by hand in place of the traced one, which takes seconds."""

    def export_checkpoint(cfg, checkpoint, path, size, dynamic, strict, false_alarms):
        point = POINT if false_alarms is None else OperatingPoint(POINT.classes, false_alarms, 8, 1, 3, 0.25)
        path = write_model(Path(path or Path(checkpoint).with_suffix('.onnx')), point)
        return Export(path, size or (64, 64), None, {(1, 64, 64): 1e-6})

    monkeypatch.setattr(exporting, 'export_checkpoint', export_checkpoint)
    return tmp_path / 'out'


def test_export_writes_the_script_and_models_of_fewer_bits_with_a_table(config, no_tracing, capsys):
    out = no_tracing
    out.mkdir()
    argv = ['export', str(config), 'a.pth', '--output-file', str(out / 'm.onnx'), '--fp16', '--int8']
    assert wta_seg([*argv, '--limit', '30', '--calibration-images', '4', '--false-alarms', '0.5']) == 0
    assert sorted(path.name for path in out.iterdir()) == ['infer.py', 'm.onnx', 'm_fp16.onnx', 'm_int8.onnx']
    printed = capsys.readouterr().out
    assert 'int8 is calibrated on 4 training images: attached in 4, broken in 4, no defect in 0' in printed
    rows = [line for line in printed.splitlines() if line.startswith('| ')]
    assert [row.split('|')[1].strip() for row in rows] == ['precision', 'float32', 'fp16', 'int8']
    numbers = [float(value) for value in rows[1].split('|')[2:-1]]
    assert numbers[1] > 20 and numbers[4] > 0
    for name in ('m', 'm_fp16', 'm_int8'):
        assert read_operating_point(out / f'{name}.onnx').target == 0.5

    # another program of that name stays
    (out / 'infer.py').write_text('print("mine")\n')
    assert wta_seg(argv[:5]) == 0
    assert 'another program, left as it is' in capsys.readouterr().out
    assert (out / 'infer.py').read_text() == 'print("mine")\n'


def test_a_refused_model_leaves_the_earlier_file(config, no_tracing, capsys, monkeypatch):
    out = no_tracing
    out.mkdir()
    (out / 'm_fp16.onnx').write_bytes(b'before')
    worse = iter([Quality(50.0, 50.0, 0.0), Quality(10.0, 50.0, 0.0)])
    monkeypatch.setattr('wtaseg.deploy.comparison.quality_of', lambda *_: next(worse))
    assert wta_seg(['export', str(config), 'a.pth', '--output-file', str(out / 'm.onnx'), '--fp16']) == 1
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('wta-seg export'))
    assert 'm_fp16.onnx: not written. foreground mIoU falls from 50.00 to 10.00 %' in line
    assert (out / 'm_fp16.onnx').read_bytes() == b'before'
    assert sorted(path.name for path in out.iterdir()) == ['infer.py', 'm.onnx', 'm_fp16.onnx']


def test_wrong_numbers_and_a_missing_split_are_named(config, no_tracing, capsys, tmp_path):
    for flags, message in (
        (['--limit', '-1'], '--limit -1'),
        (['--calibration-images', '0'], '--calibration-images 0'),
        (['--fp16', '--data', str(tmp_path)], 'img_dir/train does not exist'),
    ):
        assert wta_seg(['export', str(config), 'a.pth', *flags]) == 1
        assert message in capsys.readouterr().err


def test_table_has_a_dash_where_nothing_was_measured():
    from wtaseg.deploy.comparison import Measured

    rows = [('float32', Measured(Path('m'), None, 5.25, 12.34))]
    assert table(rows).splitlines()[-1] == '| float32 | – | – | – | 5.25 | 12.3 |'
    assert Precision.INT8.file(Path('a/b.onnx')) == Path('a/b_int8.onnx')


def test_a_vision_transformer_of_16_bits_is_read(tmp_path):
    """In a process of its own: where onnxruntime does not take the file, it crashes."""
    cfg = drop_pretrained(read_config(ROOT / 'configs/_base_/models/upernet_vit-b16_ln_mln_wta.py'))
    width = 64
    cfg.model.backbone.update(num_layers=4, embed_dims=width, num_heads=4, out_indices=(0, 1, 2, 3))
    cfg.model.neck.update(in_channels=[width] * 4, out_channels=width)
    cfg.model.decode_head.update(in_channels=[width] * 4, channels=16)
    cfg.model.auxiliary_head = None
    fit_image_size(cfg, (64, 64))
    path, reduced = tmp_path / 'model.onnx', tmp_path / 'model_fp16.onnx'
    export_onnx.export(init_model(cfg, None, 'cpu'), path, (64, 64), dynamic=False)
    to_fp16(path, reduced)
    code = f'from onnxruntime import InferenceSession; InferenceSession({str(reduced)!r})'
    assert (
        subprocess.run([sys.executable, '-c', code], stderr=subprocess.DEVNULL, check=False).returncode == 0
    )
