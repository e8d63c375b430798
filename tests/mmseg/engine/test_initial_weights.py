"""A training that begins with the weights of another one."""

import pytest
import torch

from mmseg.engine import build_runner
from mmseg.engine.checkpoint_fit import CheckpointMismatchError
from mmseg.engine.initial_weights import match_weights
from mmseg.utils import training_config

QUICK = {'train_cfg.max_iters': 2, 'val_dataloader.dataset.indices': 1}
OTHER = dict(
    type='BaseSegDataset',
    img_suffix=None,
    metainfo=dict(classes=('normal', 'broken', 'scratch', 'attached', 'dent')),
)


@pytest.fixture
def checkpoint(experiment, tmp_path):
    """The last checkpoint of a training with the classes defect, attached, broken."""
    runner = build_runner(experiment(**QUICK, work_dir=str(tmp_path / 'first')))
    runner.train()
    return f'{runner.work_dir}/iter_2.pth'


def _five_classes(experiment, **options):
    changes = {
        f'{split}_dataloader.dataset.{key}': value
        for split in ('train', 'val')
        for key, value in OTHER.items()
    }
    return experiment(**QUICK | changes | {'model.decode_head.num_classes': 5} | options)


def _initialised(cfg):
    """The weights just after loading, and those that the model would begin with."""
    runner = build_runner(cfg)
    seen = {}
    run = runner.train_loop.run
    runner._train_loop.run = lambda: (
        seen.update({k: v.clone() for k, v in runner.model.state_dict().items()}),
        run(),
    )
    init = runner._init_model_weights
    initial = {}
    runner._init_model_weights = lambda: (
        init(),
        initial.update({k: v.clone() for k, v in runner.model.state_dict().items()}),
    )
    runner.train()
    return runner, seen, initial


def test_shared_classes_keep_their_weights(experiment, checkpoint, capsys):
    old = torch.load(checkpoint, weights_only=True)['state_dict']
    runner, loaded, initial = _initialised(training_config.init_from(_five_classes(experiment), checkpoint))
    for key, value in loaded.items():
        if 'conv_seg' not in key:
            assert torch.equal(value, old[key]), key
            continue
        # normal, broken, scratch, attached, dent
        for row, source in (
            (0, initial[key][0]),
            (1, old[key][2]),
            (2, initial[key][2]),
            (3, old[key][1]),
            (4, initial[key][4]),
        ):
            assert torch.equal(value[row], source), (key, row)
    assert runner.iter == 2 and len(runner.message_hub.get_scalar('train/loss').data[0]) == 2
    text = f'init_from {checkpoint}: {len(loaded)} of {len(loaded)} tensors; classes broken, attached keep their weights'
    assert f'{text}; new: normal, scratch, dent; left out: defect' in capsys.readouterr().out


def test_without_names_a_classifier_fits_by_its_shape(experiment, checkpoint, tmp_path, capsys):
    stored = torch.load(checkpoint, weights_only=True)
    torch.save({'state_dict': stored['state_dict']}, tmp_path / 'weights.pth')
    _, loaded, initial = _initialised(
        training_config.init_from(_five_classes(experiment), str(tmp_path / 'weights.pth'))
    )
    assert torch.equal(loaded['decode_head.conv_seg.weight'], initial['decode_head.conv_seg.weight'])
    output = capsys.readouterr().out
    count = len(loaded)
    assert (
        f'{count - 2} of {count} tensors; 2 of the checkpoint not used: decode_head.conv_seg.weight (3x8x1x1, here 5x8x1x1), '
        in output
    )
    assert '2 keep their initial values: decode_head.conv_seg.weight, decode_head.conv_seg.bias' in output
    _, loaded, _ = _initialised(training_config.init_from(experiment(**QUICK), str(tmp_path / 'weights.pth')))
    assert all(torch.equal(loaded[key], value) for key, value in stored['state_dict'].items())


def test_the_same_classes_in_another_order_are_matched_by_name():
    old = {
        'head.conv_seg.weight': torch.tensor([[1.0], [2.0]]),
        'head.pam_conv_seg.bias': torch.tensor([3.0, 4.0]),
    }
    model = torch.nn.Module()
    model.head = torch.nn.Module()
    model.head.conv_seg = torch.nn.Conv1d(1, 2, 1, bias=False)
    model.head.pam_conv_seg = torch.nn.Conv1d(1, 2, 1)
    old['head.conv_seg.weight'] = old['head.conv_seg.weight'][..., None]
    weights = match_weights(model, old, ('b', 'a'), ('a', 'b'))
    assert weights.tensors['head.conv_seg.weight'].flatten().tolist() == [2.0, 1.0]
    assert weights.tensors['head.pam_conv_seg.bias'].tolist() == [4.0, 3.0]
    assert weights.initial == ('head.pam_conv_seg.weight',) and weights.new == weights.dropped == ()
    strange = match_weights(model, old, ('x', 'y'), ('a', 'b'))
    assert strange.tensors == {} and strange.unused[0] == 'head.conv_seg.weight (no class in common)'


def test_a_checkpoint_of_another_architecture_is_refused(experiment, checkpoint, tmp_path):
    state = {
        f'body.{key}': value for key, value in torch.load(checkpoint, weights_only=True)['state_dict'].items()
    }
    state['decode_head.conv_seg.bias'] = torch.zeros(3)
    torch.save({'state_dict': state}, tmp_path / 'other.pth')
    with pytest.raises(
        CheckpointMismatchError, match=r'none of which fits the EncoderDecoder.*the same architecture'
    ):
        build_runner(training_config.init_from(experiment(**QUICK), str(tmp_path / 'other.pth'))).train()


def test_a_resumed_run_does_not_begin_again(experiment, checkpoint):
    first = build_runner(training_config.init_from(experiment(**QUICK, resume=True), checkpoint))
    first.train()
    assert first.iter == 2  # nothing to resume: it began with the checkpoint
    again = build_runner(
        training_config.init_from(experiment(**QUICK | {'train_cfg.max_iters': 3}, resume=True), checkpoint)
    )
    again.train()
    assert again.iter == 3 and len(again.message_hub.get_scalar('train/loss').data[0]) == 3


def test_what_can_not_go_together_is_refused(experiment, checkpoint):
    with pytest.raises(FileNotFoundError, match=r'--init-from: absent\.pth does not exist'):
        training_config.init_from(experiment(), 'absent.pth')
    with pytest.raises(ValueError, match=r'--init-from: the config loads .*first/iter_2\.pth already'):
        training_config.init_from(experiment(load_from=checkpoint), checkpoint)
