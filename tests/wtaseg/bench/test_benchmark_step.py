"""``wta-seg bench train`` on a small model."""

import json
import re
import subprocess
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from mmengine.config import Config

from wtaseg.bench import peer
from wtaseg.bench import step as benchmark_step
from wtaseg.bench.step import load_experiment
from wtaseg.cli import main as wta_seg
from wtaseg.cli.bench import main_train

SCHEDULE = Path(__file__).resolve().parents[3] / 'configs/_base_/schedules/schedule_40k.py'


@pytest.fixture
def config(tmp_path):
    head = dict(type='FCNHead', in_channels=4, channels=4, num_convs=1, concat_input=False, num_classes=2)
    backbone = dict(
        type='VisionTransformer', img_size=32, embed_dims=4, num_layers=1, num_heads=1, mlp_ratio=2
    )
    cfg = dict(
        model=dict(
            type='EncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor', size=(32, 32)),
            backbone=backbone,
            decode_head=head,
        ),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
        train_dataloader=dict(batch_size=3),
    )
    Config(cfg).dump(tmp_path / 'small.py')
    return str(tmp_path / 'small.py')


def test_prints_and_writes_the_times(config, tmp_path, capsys):
    out = tmp_path / 'times.json'
    argv = [config, '--size', '32', '--steps', '2', '--warmup', '1', '--json', str(out)]
    assert main_train(argv) == 0
    times = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == times
    assert (times['batch'], times['size']) == (3, 32)
    assert 0 < times['issued_ms'] <= times['whole_ms']


@pytest.mark.parametrize(
    ('wrapper', 'dtype'), [('OptimWrapper', torch.float32), ('AmpOptimWrapper', torch.bfloat16)]
)
def test_a_step_is_that_of_the_config(config, wrapper, dtype):
    cfg, outputs = Config.fromfile(config), []
    cfg.optim_wrapper.type = wrapper
    if dtype is not torch.float32:
        cfg.optim_wrapper.dtype = 'bfloat16'
    model, step = benchmark_step.build_step(cfg, 2, 32, 'cpu')
    classifier = model.decode_head.conv_seg
    classifier.register_forward_hook(lambda layer, inputs, out: outputs.append((len(out), out.dtype)))
    before = classifier.weight.clone()
    step()
    assert outputs == [(2, dtype)]
    assert not torch.equal(classifier.weight, before)


def test_against_another_interpreter(config, capsys, monkeypatch):
    def run(command, input, **options):
        assert command[:-1] == ['env', 'A=1', 'python'] and Path(command[-1]).name == 'peer.py'
        task = json.loads(input)
        assert Config.fromfile(task['config']).model.decode_head.loss_decode.type == 'CrossEntropyLoss'
        result = peer.measure(task)  # this package has the interface of the other
        return CompletedProcess(command, 0, stdout=f'a warning\n{json.dumps(result)}\n', stderr='')

    cfg = Config.fromfile(config)
    cfg.model.decode_head.loss_decode = dict(type='FocalLoss', use_sigmoid=False)
    cfg.dump(config)
    monkeypatch.setattr(subprocess, 'run', run)
    argv = [config, '--size', '32', '--steps', '1', '--warmup', '1', '--against', 'env A=1 python']
    assert main_train(argv) == 0
    result = json.loads(capsys.readouterr().out)
    assert result['times_faster'] == pytest.approx(result['other']['whole_ms'] / result['whole_ms'])
    failed = CompletedProcess((), 3, stdout='', stderr='no such module')
    monkeypatch.setattr(subprocess, 'run', lambda *args, **options: failed)
    assert main_train(argv) == 1
    assert 'env A=1 python failed with status 3' in capsys.readouterr().err


def test_prediction_beside_another_interpreter(config, capsys, monkeypatch):
    tasks = []

    def run(command, input, **options):
        tasks.append(json.loads(input))
        return CompletedProcess(command, 0, stdout=json.dumps(dict(image_ms=[4.0, 2.0, 9.0])), stderr='')

    monkeypatch.setattr(subprocess, 'run', run)
    argv = [
        'bench',
        'test',
        config,
        '--shape',
        '40',
        '64',
        '--window',
        '32',
        '--images',
        '2',
        '--rounds',
        '2',
    ]
    assert wta_seg([*argv, '--warmup', '0', '--batch', '2', '--against', 'python']) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result['shape'], result['window'], result['stride']) == ([40, 64], 32, 21)
    assert result['other_ms'] == 4.0
    assert result['times_faster'] == pytest.approx(4.0 / result['image_ms'])
    assert len(tasks) == 2 and tasks[0]['batch'] == 2
    cfg = load_experiment(config)
    cfg.dump(config)
    there = peer.measure(tasks[0] | {'config': config, 'images': 1})
    assert len(there['image_ms']) == 1 and there['image_ms'][0] > 0


def test_refuses_what_it_cannot_time(config, capsys):
    for option in ('--steps', '--size', '--batch'):
        assert main_train([config, option, '0']) == 2
        assert re.search(rf'{option}.* >= 1', capsys.readouterr().err)
    with pytest.raises(
        ValueError, match=r'schedule_40k\.py: no model in it; expected the config of an experiment'
    ):
        benchmark_step.measure(SCHEDULE)
    assert main_train([str(SCHEDULE)]) == 1
