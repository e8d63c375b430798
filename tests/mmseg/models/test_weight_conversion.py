"""Weight conversion: released layouts, made by renaming our own tensors, are converted back to the same tensors."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mmseg.models  # noqa: F401
from mmseg.models.utils import weight_conversion
from mmseg.models.utils.pretrained import load_state_dict
from mmseg.models.utils.weight_conversion import convert_beit, convert_vit
from mmseg.registry import MODELS

ROOT = Path(__file__).resolve().parents[3]
SMALL = dict(embed_dims=16, num_layers=2, num_heads=2, out_indices=(1,), final_norm=True)


def _build(kind, side=64, **kwargs):
    torch.manual_seed(0)
    model = MODELS.build(dict(type=kind, img_size=side, **SMALL, **kwargs))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


def _released_vit(model):
    """timm's names for our tensors, and a classifier."""
    released = {'head.weight': torch.zeros(1000, 16), 'head.bias': torch.zeros(1000)}
    for key, value in model.state_dict().items():
        for ours, theirs in (
            ('attn.attn.in_proj_', 'attn.qkv.'),
            ('attn.attn.out_proj', 'attn.proj'),
            ('ffn.layers.0.0', 'mlp.fc1'),
            ('ffn.layers.1', 'mlp.fc2'),
            ('patch_embed.projection', 'patch_embed.proj'),
        ):
            key = key.replace(ours, theirs)
        key = key.replace('ln2', 'norm2').replace('ln1', 'norm1' if key.startswith('layers') else 'norm')
        released[key.replace('layers.', 'blocks.', 1) if key.startswith('layers.') else key] = value
    return released


@pytest.mark.parametrize(
    ('kind', 'convert', 'kwargs'),
    [('VisionTransformer', convert_vit, dict(patch_bias=True)), ('BEiT', convert_beit, {})],
)
def test_round_trip(kind, convert, kwargs):
    model = _build(kind, **kwargs)
    converted = convert(_released_vit(model))
    expected = {key: value for key, value in model.state_dict().items() if 'position_index' not in key}
    assert set(converted) == set(expected)
    assert all(torch.equal(converted[key], value) for key, value in expected.items())


@pytest.mark.parametrize(
    ('kind', 'convert', 'resized'),
    [
        ('VisionTransformer', convert_vit, 'pos_embed'),
        ('BEiT', convert_beit, 'relative_position_bias_table'),
    ],
)
def test_loading_fits_positions_to_another_image_size(kind, convert, resized):
    model = _build(kind, side=96)
    report = load_state_dict(model, convert(_released_vit(_build(kind))), 'released')
    assert 'missing' not in report
    assert 'resized' in report and resized in report and 'another shape' not in report


def test_a_shared_table_goes_to_every_block():
    released = _released_vit(_build('BEiT'))
    table = released.pop('blocks.0.attn.relative_position_bias_table')
    del released['blocks.1.attn.relative_position_bias_table']
    converted = convert_beit(released | {'rel_pos_bias.relative_position_bias_table': table})
    for layer in range(2):
        assert torch.equal(converted[f'layers.{layer}.attn.relative_position_bias_table'], table)


def test_command_line_reads_wrapped_files_and_writes_atomically(tmp_path, capsys, monkeypatch):
    model = _build('BEiT')
    torch.save(dict(model=_released_vit(model)), tmp_path / 'released.pth')
    argv = [str(tmp_path / 'released.pth'), str(tmp_path / 'pretrain' / 'beit.pth')]
    assert weight_conversion.main(convert_beit, 'BEiT', argv) == 0
    assert 'tensors' in capsys.readouterr().out
    written = torch.load(argv[1], weights_only=True)
    assert torch.equal(written['layers.1.gamma_2'], model.layers[1].gamma_2)
    monkeypatch.setattr(torch, 'save', lambda *_: (_ for _ in ()).throw(OSError('disk full')))
    with pytest.raises(OSError, match='disk full'):
        weight_conversion.save({}, tmp_path / 'pretrain' / 'other.pth')
    assert [path.name for path in (tmp_path / 'pretrain').iterdir()] == ['beit.pth']


@pytest.mark.parametrize('convert', [convert_vit, convert_beit])
def test_other_layouts_are_refused(convert):
    resnet = {'conv1.weight': torch.zeros(1), 'layer1.0.conv1.weight': torch.zeros(1)}
    with pytest.raises(ValueError, match=r'file\.pth: not the layout of .*conv1\.weight'):
        convert(resnet, 'file.pth')


def test_each_converter_refuses_the_others_and_distilled_weights():
    vit, beit = _released_vit(_build('VisionTransformer')), _released_vit(_build('BEiT'))
    with pytest.raises(ValueError, match='not the layout of BEiT'):
        convert_beit(vit)
    with pytest.raises(ValueError, match="not the layout of timm's"):
        convert_vit(beit)
    with pytest.raises(ValueError, match='distilled'):
        convert_vit(vit | {'dist_token': torch.zeros(1, 1, 16)})


@pytest.mark.parametrize(('name', 'layout'), [('vit', "timm's ViT"), ('beit', 'BEiT')])
def test_scripts_name_a_file_of_another_layout(tmp_path, name, layout):
    torch.save({'conv1.weight': torch.zeros(1)}, tmp_path / 'resnet.pth')
    script = ROOT / f'tools/model_converters/{name}2mmseg.py'
    command = [sys.executable, script, tmp_path / 'resnet.pth', tmp_path / 'out.pth']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count('\n') == 1
    assert f'resnet.pth: not the layout of {layout}' in done.stderr
    assert not (tmp_path / 'out.pth').exists()
