"""ONNX export of the architectures, narrowed, and ``wta-seg export``."""

import json
import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

pytest.importorskip('onnxruntime', reason='pip install "wta-seg[deploy]"')
pytest.importorskip('onnxscript', reason='pip install "wta-seg[deploy]"')

import onnx
from contract import ARCHITECTURES

import mmseg
from mmseg.apis import export_onnx
from mmseg.evaluation.inspection import ClassPoint, Interval, OperatingPoint, read_operating_point
from mmseg.models.backbones import ResNeSt, ResNet
from wtaseg.cli import export as export_command

SIZE = (96, 128)
POINT = OperatingPoint(
    {
        'attached': ClassPoint(0.25, 80.0, 0.05, Interval(70.0, 90.0), Interval(0.2, 0.3)),
        'broken': ClassPoint(None, 0.0, 0.0, Interval(0.0, 0.0), Interval(1.0, 1.0)),
    },
    target=0.1,
    images=40,
    min_area=1,
    tolerance=3,
    min_overlap=0.25,
)


def _config(architecture, size: tuple[int, int]) -> Config:
    """Config of a narrowed architecture."""
    model = architecture.config()
    if 'img_size' in model['backbone']:
        model['backbone']['img_size'] = size
    if 'frozen' in model['backbone']:
        model['backbone']['frozen'] = True
    model['data_preprocessor']['size'] = size
    return Config(dict(model=model, test_dataloader=dict(dataset=dict(type='WTADataset'))))


def _write(architecture, folder: Path, size: tuple[int, int] = SIZE) -> tuple[Path, Path]:
    """Config and checkpoint of a narrowed architecture, as files."""
    cfg = _config(architecture, size)
    cfg.dump(folder / 'config.py')
    torch.manual_seed(0)
    built = export_onnx.init_model(cfg, device='cpu')
    meta = dict(operating_point=POINT.to_dict())
    torch.save(dict(state_dict=built.state_dict(), meta=meta), folder / 'model.pth')
    return folder / 'config.py', folder / 'model.pth'


# Two with all that the command does, one with open sides and one of one size; the others in one size below.
# EXPORT_ALL=1 exports all this way, which takes minutes; test_model_contract.py traces all with open sides.
QUICK = {'gcnet_r50-d8', 'upernet_beit'}
# Only with EXPORT_ALL: DDRNet's blocks and poolings are those of PIDNet.
COVERED = {'ddrnet_23-slim'}
EXPORTED = [
    one for one in ARCHITECTURES if one.name in QUICK or os.environ.get('EXPORT_ALL', '0') not in ('', '0')
]


@pytest.mark.parametrize('architecture', EXPORTED, ids=lambda architecture: architecture.name)
def test_exports_what_it_computes(architecture, tmp_path, capsys):
    config, checkpoint = _write(architecture, tmp_path)
    assert export_command.main([str(config), str(checkpoint)]) == 0
    printed = capsys.readouterr().out
    assert printed.count('logits differ by') == 2
    content = (tmp_path / 'model.onnx').read_bytes()
    assert str(Path(mmseg.__file__).parent).encode() not in content, 'paths of the exporting machine'
    proto = onnx.load(tmp_path / 'model.onnx')
    shape = [dim.dim_param or dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    is_open = architecture.other_sizes and architecture.sides
    expected = ['batch', 3, 'height', 'width'] if is_open else ['batch', 3, *SIZE]
    assert shape == expected
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(metadata['classes']) == ['defect', 'attached', 'broken']
    # from the file, and from what onnxruntime gives
    assert read_operating_point(tmp_path / 'model.onnx') == read_operating_point(metadata) == POINT
    assert metadata['channel_order'] == 'RGB' and json.loads(metadata['mean']) == [123.675, 116.28, 103.53]


@pytest.fixture
def short_resnets(monkeypatch):
    """ResNet-18 and ResNeSt-50 with one block a stage: what is particular about an architecture is behind it."""
    for network, depth in ((ResNet, 18), (ResNeSt, 50)):
        block, _ = network.arch_settings[depth]
        settings = {**network.arch_settings, depth: (block, (1, 1, 1, 1))}
        monkeypatch.setattr(network, 'arch_settings', settings)


@pytest.mark.parametrize(
    'architecture',
    [one for one in ARCHITECTURES if one not in EXPORTED and one.name not in COVERED],
    ids=lambda architecture: architecture.name,
)
def test_every_other_architecture_is_exported_in_its_smallest_size(architecture, tmp_path, short_resnets):
    size = (64, 64)
    cfg = _config(architecture, size)
    torch.manual_seed(0)
    model = export_onnx.init_model(cfg, device='cpu')
    # it compares the logits with PyTorch's and writes nothing where they differ
    sides, differences = export_onnx.export(model, tmp_path / 'model.onnx', size, dynamic=False)
    assert sides is None and list(differences) == [(1, *size), (3, *size)]
    proto = onnx.load(tmp_path / 'model.onnx')
    shapes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    ]
    assert shapes == [['batch', 3, *size], ['batch', 3, *size]]


def test_no_file_is_left_where_the_logits_differ(tmp_path, monkeypatch):
    class Shifted(torch.nn.Module):
        """The exported network, whose logits are off by 0.01 standard deviations."""

        def forward(self, images):
            return images * 2 + 0.02

    shifted = torch.export.export(Shifted(), (torch.zeros(2, 3, 96, 128),))
    monkeypatch.setattr(export_onnx, 'trace', lambda *_: (shifted, None))
    monkeypatch.setattr(export_onnx, '_trial_shapes', lambda *_: [(2, 96, 128)])
    monkeypatch.setattr(export_onnx, 'describe', lambda *_: {})
    monkeypatch.setattr(export_onnx.Network, 'forward', lambda self, images: images * 2)
    with pytest.raises(export_onnx.ExportError, match='not written'):
        export_onnx.export(torch.nn.Identity(), tmp_path / 'model.onnx', SIZE)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(export_onnx, 'TOLERANCE', 0.02)
    export_onnx.export(torch.nn.Identity(), tmp_path / 'model.onnx', SIZE)
    assert [path.name for path in tmp_path.iterdir()] == ['model.onnx']


def test_a_size_that_the_architecture_can_not_compute_is_one_line(tmp_path, capsys):
    architecture = next(one for one in ARCHITECTURES if one.name == 'upernet_beit')
    config, checkpoint = _write(architecture, tmp_path)
    assert export_command.main([str(config), str(checkpoint), '--shape', '64', '64']) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]  # after the lines of the log
    assert '--shape 64 64: the model can not compute images of this size (' in line
    assert not list(tmp_path.glob('*.onnx'))


def test_another_number_of_false_alarms_needs_curves(tmp_path, capsys):
    config, checkpoint = _write(ARCHITECTURES[0], tmp_path)
    for meta, message in (
        (dict(operating_point=POINT.to_dict()), 'has no validation curves'),
        ({}, 'has no operating point'),
    ):
        torch.save(dict(torch.load(checkpoint, weights_only=True), meta=meta), checkpoint)
        assert export_command.main([str(config), str(checkpoint), '--false-alarms', '2']) == 1
        line = capsys.readouterr().err.strip().splitlines()[-1]  # after the lines of the log
        assert message in line
    assert not list(tmp_path.glob('*.onnx'))


def test_a_shape_of_three_sides_is_refused(capsys):
    assert export_command.main(['config.py', 'a.pth', '--shape', '1', '2', '3']) == 2
    assert '--shape: 1 2 3; expected height and width' in capsys.readouterr().err


def test_a_missing_package_is_named(monkeypatch, capsys):
    monkeypatch.setattr(export_onnx, 'find_spec', lambda name: None)
    assert export_command.main(['fastscnn/fast_scnn_4xb4-40k_wta-512x512', 'a.pth']) == 1
    assert 'pip install "wta-seg[deploy]"' in capsys.readouterr().err
