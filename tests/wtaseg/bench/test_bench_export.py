"""``wta-seg bench export``, with a model made by hand in place of the traced one."""

from pathlib import Path

import pytest

pytest.importorskip('onnxruntime', reason='pip install "wta-seg[deploy]"')
pytest.importorskip('onnxscript', reason='pip install "wta-seg[deploy]"')

from mmengine.config import Config
from tiny_onnx import write_model

from wtaseg.bench import exported
from wtaseg.cli import main as wta_seg


def test_table_of_three_precisions(experiment, tmp_path, monkeypatch, capsys):
    traced = []

    def export(model, path: Path, size, dynamic):
        traced.append((type(model).__name__, size, dynamic))
        write_model(path, sides=None, size=list(size))

    monkeypatch.setattr(exported.export_onnx, 'export', export)
    Config(dict(model=experiment().model.to_dict())).dump(tmp_path / 'tiny.py')
    assert wta_seg(['bench', 'export', str(tmp_path / 'tiny.py'), '--shape', '40', '48']) == 0
    assert traced == [('EncoderDecoder', (40, 48), False)]
    head, _, row = (line for line in capsys.readouterr().out.splitlines() if line.startswith('|'))
    assert head.split('|')[1:5] == [' model ', ' float32 (ms) ', ' fp16 (ms) ', ' int8 (ms) ']
    name, *numbers = (cell.strip() for cell in row.strip('|').split('|'))
    assert name == 'tiny' and len(numbers) == 6 and all(float(number) >= 0 for number in numbers)
