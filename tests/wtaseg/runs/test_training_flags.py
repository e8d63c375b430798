"""Flags of the training: the same on the command lines of train, batch and study, and in the runs."""

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from wtaseg import training
from wtaseg.cli import main as wta_seg
from wtaseg.cli import make_app, train
from wtaseg.cli.batch import command as batch
from wtaseg.cli.study import command as study
from wtaseg.runs.options import BatchOptions
from wtaseg.runs.training_flags import TrainingFlags
from wtaseg.studies.spec import StudyOptions

FLAGS = TrainingFlags(
    early_stop=3,
    ema=True,
    accumulate=4,
    freeze=('backbone', 'decode_head.convs.[01]'),
    init_from='best.pth',
    normal_images=Path('good parts'),
    normal_share=0.25,
    false_alarms=0.5,
    eager=True,
    fp32=True,
)


def test_words_of_a_batch_job_are_what_train_takes(monkeypatch):
    calls = []
    monkeypatch.setattr(training, 'train', lambda experiment, options: calls.append(options))
    assert train.main(['config.py', *FLAGS.words()]) == 0
    assert train.main(['config.py']) == 0
    assert calls == [training.TrainOptions(**vars(FLAGS)), training.TrainOptions()]
    assert TrainingFlags().words() == ()
    moved = FLAGS.words(Path('/somewhere'))
    assert '--init-from=/somewhere/best.pth' in moved and '--normal-images=/somewhere/good parts' in moved
    remote = TrainingFlags(init_from='https://host/a.pth')
    assert remote.words(Path('/somewhere')) == ('--init-from=https://host/a.pth',)


@pytest.mark.parametrize(
    ('command', 'words', 'kind'),
    [
        (batch, ['--project', 'p', '--gpus', '1', '--candidates', 'a/b'], BatchOptions),
        (study, ['losses'], StudyOptions),
    ],
)
def test_batch_and_study_take_them(command, words, kind):
    _, bound, _ = make_app('x', default_command=command).parse_args(
        [*words, '--ema', '--accumulate', '4', '--freeze', 'backbone', 'neck', '--early-stop', '2'],
        exit_on_error=False,
    )
    options = bound.arguments['options']
    assert isinstance(options, kind)
    assert options.words() == (
        '--ema',
        '--early-stop=2',
        '--accumulate=4',
        '--freeze=backbone',
        '--freeze=neck',
    )


def test_a_job_passes_them_on(blades, tmp_path):
    options = BatchOptions(
        project='p', gpus=1, candidates=('a/b',), work_dir=tmp_path, smoke=True, ema=True, freeze=('neck',)
    )
    assert options.job(draw=None).train_flags == ('--smoke', '--ema', '--freeze=neck')
    words = StudyOptions(studies=('losses',), accumulate=2).arguments()
    assert words == ['losses', '--accumulate', '2']


def test_a_training_shows_and_follows_them(experiment, tmp_path, capfd):
    path = tmp_path / 'config.py'
    experiment(**{'train_cfg.max_iters': 2, 'val_dataloader.dataset.indices': 1}).dump(path)
    argv = ['train', str(path), '--ema', '--accumulate', '2', '--freeze', 'backbone.learning_to_downsample']
    assert wta_seg(argv) == 0
    screen = capfd.readouterr().out
    assert re.search(
        r'^Frozen +\d[\d,]* of \d[\d,]* parameters: backbone\.learning_to_downsample$', screen, re.M
    )
    assert 'weights updated every 2 iterations (4 images), averaged weights' in screen
    folder = tmp_path / 'work'
    assert (
        wta_seg(
            [
                'train',
                str(path),
                '--init-from',
                str(folder / 'iter_2.pth'),
                '--work-dir',
                str(tmp_path / 'w2'),
            ]
        )
        == 0
    )
    assert re.search(r'^Weights +.*work/iter_2\.pth$', capfd.readouterr().out, re.M)
    for words, message in (
        (['--freeze', 'backbon'], r"frozen_layers: 'backbon' matches no module .*nearest: backbone"),
        (['--accumulate', '0'], '--accumulate: 0; expected'),
        (['--init-from', 'absent.pth'], r'--init-from: absent\.pth does not exist'),
        (['--init-from', str(path), '--from-scratch'], '--from-scratch: --init-from .* leave one out'),
        (['--normal-share', '0.3'], '--normal-share: 0.3; it goes with --normal-images'),
        (['--false-alarms', '1'], 'val_evaluator has no InspectionMetric'),
    ):
        assert wta_seg(['train', str(path), *words]) == 1
        (line,) = [row for row in capfd.readouterr().err.splitlines() if row.startswith('wta-seg train: ')]
        assert re.search(message, line), line


def test_every_flag_is_among_the_words():
    given = {key for key, value in asdict(FLAGS).items() if value != asdict(TrainingFlags())[key]}
    assert given == set(asdict(TrainingFlags()))
