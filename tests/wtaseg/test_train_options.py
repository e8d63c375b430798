"""What a training shows, and its errors in one line."""

import re

import cv2
import pytest
from mmengine.config import Config

from mmseg.utils import launch
from wtaseg import training
from wtaseg.cli import main as wta_seg
from wtaseg.errors import one_line_errors
from wtaseg.start_screen import as_text, label_shares


@pytest.fixture
def config(experiment, tmp_path):
    """A function that writes an experiment with changes and returns its path."""

    def write(**options) -> str:
        path = tmp_path / f'config{len(list(tmp_path.glob("config*.py")))}.py'
        experiment(**options).dump(path)
        return str(path)

    return write


def test_a_training_starts_with_one_screen(config, tmp_path, capfd):
    assert wta_seg(['train', config(**{'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2})]) == 0
    output = capfd.readouterr().out
    screen, _, log = output.partition(' has the whole setup\n')
    lines = screen.splitlines()
    assert len(lines) <= 16, screen
    for text in (
        r'^Model +Fast-SCNN, 0\.\d+ million parameters, CrossEntropyLoss$',
        r'^Data .*blades\d*: 8 images to train on, 8 to validate$',
        r'^Classes +defect +\d\d\.\d+% of the labelled pixels$',
        r'^ +broken +\d\.\d+%$',
        r'^Device +No CUDA device: training on the CPU$',
        r'^Schedule +2 iterations of 2 images \(0\.5 epochs\), learning rate 0\.01, validation every 2$',
    ):
        assert re.search(text, screen, re.MULTILINE), (text, screen)
    assert 'Iter(train) [1/2]' in log and 'val_loss: ' in log
    (file,) = (tmp_path / 'work').glob('*/*.log')
    whole = file.read_text()
    assert 'Hooks will be executed' in whole and 'Model  ' in whole
    assert 'Hooks will be executed' not in output


def test_shares_are_estimated_from_labels_spread_over_the_dataset(experiment):
    from mmseg.registry import DATASETS

    dataset = DATASETS.build(experiment().train_dataloader.dataset)
    counts, read, total = label_shares(dataset, 3)
    assert (read, total) == (8, 8) and counts.sum() == 8 * 64 * 64
    some, read, total = label_shares(dataset, 3, limit=3)
    assert (read, total) == (3, 8) and some.sum() == 3 * 64 * 64
    labels = [cv2.imread(dataset.get_data_info(index)['seg_map_path'], 0) for index in (0, 3, 6)]
    assert some[1] == sum((label == 1).sum() for label in labels)
    assert as_text([('A', 'x'), ('', 'y'), ('Long', 'z')]) == 'A     x\n      y\nLong  z'


@pytest.mark.parametrize(
    ('options', 'arguments', 'message'),
    [
        (
            {'model.backbone.type': 'FastSCN'},
            [],
            r"config0\.py: .*backbone\.type='FastSCN' is not registered",
        ),
        ({'model.decode_head.in_channel': 3}, [], 'unexpected keyword argument .in_channel'),
        (
            {},
            ['--cfg-options', 'optim_wrapper.optimizer.lrr=1'],
            r'optimizer\.lrr is unknown; nearest: .*\.lr',
        ),
        ({}, ['--cfg-options', 'data_root=x'], 'data_root'),
        ({}, ['--early-stop', '0'], '--early-stop: 0; expected'),
        ({'train_dataloader.dataset.data_root': 'absent'}, [], 'absent'),
        ({'optim_wrapper.optimizer.lr': 1e30}, [], 'iteration .*expected finite losses'),
    ],
)
def test_errors_of_users_are_one_line(config, capfd, options, arguments, message):
    assert wta_seg(['train', config(**options), *arguments]) == 1
    error = capfd.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith('wta-seg train: ')]
    assert len(lines) == 1 and re.search(message, lines[0]), error
    assert 'Traceback' not in error


def test_an_error_of_a_worker_is_one_line(config, blades, tmp_path, capfd):
    import shutil

    root = tmp_path / 'blades'
    shutil.copytree(blades, root)
    options = {'train_dataloader.dataset.data_root': str(root), 'train_dataloader.num_workers': 1}
    path = config(**options, **{'default_hooks.check_dataset': None})
    (root / 'img_dir/train/3.png').write_bytes(b'nothing')
    assert wta_seg(['train', path, '--work-dir', str(tmp_path / 'w')]) == 1
    error = capfd.readouterr().err
    assert re.search(r"wta-seg train: .*: ValueError: image '.*3\.png' cannot be decoded", error)
    assert 'Traceback' not in error


def test_the_next_training_does_not_go_on_from_a_smoke_run(config, tmp_path, capfd):
    path = config()
    assert wta_seg(['train', path, '--smoke']) == 0
    assert 'the results mean nothing' in capfd.readouterr().out
    assert sorted(folder.name for folder in tmp_path.glob('work*')) == ['work_smoke']
    argv = ['train', path, '--resume', '--work-dir', str(tmp_path / 'work_smoke')]
    assert wta_seg(argv) == 1
    assert 'was a smoke run; delete the folder' in capfd.readouterr().err


def test_a_test_without_labels_names_predict(config, blades, tmp_path, capsys):
    import shutil

    root = tmp_path / 'photos'
    shutil.copytree(blades / 'img_dir', root / 'img_dir')
    path = config(**{'test_dataloader.dataset.data_root': str(root)})
    assert wta_seg(['test', path, 'best.pth']) == 1
    error = capsys.readouterr().err
    assert f'wta-seg predict best.pth {root}/img_dir/test --out DIR' in error


def test_early_stop_and_trackers_are_settings_of_the_run(experiment, monkeypatch):
    cfg = experiment()
    monkeypatch.setattr(launch.importlib.util, 'find_spec', lambda name: None)
    for tracker in launch.TRACKERS:
        with pytest.raises(ValueError, match=rf'--{tracker}: .*pip install "wta-seg\[tracking\]"'):
            launch.track(cfg, tracker)
    monkeypatch.setattr(launch.importlib.util, 'find_spec', lambda name: object())
    training.TrainOptions(early_stop=3, trackers=('tensorboard', 'wandb')).apply(cfg, own_folder=True)
    assert [backend['type'] for backend in cfg.visualizer['vis_backends']] == [
        'LocalVisBackend',
        'TensorboardVisBackend',
        'WandbVisBackend',
    ]
    assert cfg.visualizer['vis_backends'][2]['init_kwargs']['name'] == 'work'
    assert cfg.custom_hooks == [dict(type='EarlyStoppingHook', patience=3)]
    cfg.val_cfg = None
    with pytest.raises(ValueError, match='no validation to watch'):
        launch.stop_early(cfg, 3)


def test_tensorboard_records_a_run(config, tmp_path):
    pytest.importorskip('tensorboard')
    assert wta_seg(['train', config(), '--tensorboard']) == 0
    assert list((tmp_path / 'work').rglob('events.out.tfevents.*'))


def test_ctrl_c_before_the_training_is_one_line(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, 'train', interrupt)
    assert wta_seg(['train', 'x.py']) == 130
    assert capsys.readouterr().err == 'wta-seg train: interrupted\n'


def test_ctrl_c_while_mmengine_formats_a_config_is_one_line(monkeypatch, capsys):
    """mmengine turns it into a SyntaxError with the whole config as its message."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    def train(*_):
        with one_line_errors('x.py', setup=True):
            monkeypatch.setattr('mmengine.config.config.FormatCode', interrupt)
            return Config(dict(a=1)).pretty_text

    monkeypatch.setattr(training, 'train', train)
    assert wta_seg(['train', 'x.py']) == 130
    assert capsys.readouterr().err == 'wta-seg train: interrupted\n'


def test_the_screen_says_how_much_of_a_frozen_model_is_trained(config, capfd):
    options = {
        'train_cfg.max_iters': 1,
        'frozen_layers': ['backbone'],
        'val_cfg': None,
        'val_dataloader': None,
    }
    assert wta_seg(['train', config(val_evaluator=None, **options)]) == 0
    screen = capfd.readouterr().out
    # convolutions of 3 x 3 from 8 and 16 to 8 channels, two norms, three classes
    trained = 9 * (8 + 16) * 8 + 2 * 2 * 8 + 3 * (8 + 1)
    assert re.search(rf'^Model .* million parameters, {trained:,} of them trained, ', screen, re.MULTILINE)
