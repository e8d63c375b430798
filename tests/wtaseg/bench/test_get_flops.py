"""``wta-seg bench flops`` on a model small enough to count by hand."""

import pytest
from mmengine.config import Config

from wtaseg.bench import flops
from wtaseg.cli.bench import main_flops


@pytest.fixture
def config(tmp_path):
    head = dict(
        type='FCNHead', in_index=0, in_channels=4, channels=4, num_convs=0, concat_input=False, num_classes=3
    )
    backbone = dict(
        type='VisionTransformer', img_size=64, embed_dims=4, num_layers=1, num_heads=1, mlp_ratio=2
    )
    model = dict(type='EncoderDecoder', backbone=backbone, decode_head=head, auxiliary_head=head)
    Config(dict(model=model, load_from='nowhere.pth')).dump(tmp_path / 'small.py')
    return str(tmp_path / 'small.py')


def test_counts_are_those_made_by_hand(config):
    cost = flops.measure(config, (32, 64), repeats=0)
    # 2 x 4 patches and the class token make 9 tokens of 4 channels. Multiply-adds: patches 8*4*768; query, key
    # and value 9*4*12; scores and their use 2*9*9*4; projection 9*4*4; two layers of the network 2*9*4*8;
    # classifier 8*4*3.
    multiply_adds = 8 * 4 * 768 + 9 * 4 * 12 + 2 * 81 * 4 + 9 * 16 + 2 * 9 * 32 + 8 * 12
    assert cost.flops == 2 * multiply_adds
    # patches without bias, class token, 2*4+1 positions, two norms, attention, network, classifier
    expected = 768 * 4 + 4 + 9 * 4 + 2 * 8 + (4 * 12 + 12) + (16 + 4) + (32 + 8) + (32 + 4) + (12 + 3)
    assert cost.parameters == expected
    assert cost.training_parameters == expected + 15
    assert cost.seconds is None


def test_prints_a_row_per_config(config, capsys):
    assert main_flops([config, config, '--shape', '32', '--repeats', '1', '--device', 'cpu']) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith('| small |')]
    assert len(rows) == 2 and rows[0].count('|') == 6
    assert rows[0].split('|')[-2].strip().isdigit()


def test_a_config_without_model_is_refused(tmp_path, capsys):
    (tmp_path / 'empty.py').write_text('a = 1\n')
    with pytest.raises(ValueError, match='no model in it'):
        flops.measure(tmp_path / 'empty.py')
    assert main_flops([str(tmp_path / 'empty.py')]) == 1
    assert 'no model in it' in capsys.readouterr().err
    assert main_flops([]) == 2
    assert main_flops([str(tmp_path / 'empty.py'), '--shape', '1', '2', '3']) == 2
