"""A tiny dataset of blades and a tiny experiment on it, for every test that trains."""

import gc
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

# a program in the background may ignore these, and every program that it starts inherits that
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# seconds that each worker of an abandoned data loader is waited for, 5 by default
torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 0.5

#: Begin first, so that no process is left alone with one of them at the end.
_LONGEST = ('test_wheel.py', 'test_torture.py', 'test_study_smoke.py', 'test_export_onnx.py')

_SIDE = 64
# mmengine keeps hubs and loggers by name, down to the second
_RUN_NUMBERS = count()
_NORM = dict(type='GN', num_groups=2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the longest tests to the front."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)


@pytest.fixture(scope='session', autouse=True)
def _cache_of_label_scans(tmp_path_factory) -> Iterator[None]:
    """Keep the scans of temporary datasets out of the user's cache, in subprocesses too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('WTA_SEG_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(scope='module', autouse=True)
def _exempt_imported_modules_from_garbage_collection() -> None:
    """mmengine collects garbage for every dataset that it serializes: half a second among all modules of the tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session')
def blades(tmp_path_factory) -> Path:
    """Root of a dataset: eight noisy 64 x 64 images a split, each with an attached and a broken square."""
    root = tmp_path_factory.mktemp('blades')
    rng = np.random.default_rng(0)
    for split in ('train', 'val', 'test'):
        for folder in ('img_dir', 'ann_dir'):
            (root / folder / split).mkdir(parents=True)
        for i in range(8):
            image = rng.integers(0, 80, (_SIDE, _SIDE, 3), dtype=np.uint8)
            label = np.zeros((_SIDE, _SIDE), np.uint8)
            for class_id in (1, 2):
                y, x = rng.integers(0, _SIDE - 12, 2)
                label[y : y + 12, x : x + 12] = class_id
                image[y : y + 12, x : x + 12, class_id] += 150
            cv2.imwrite(str(root / 'img_dir' / split / f'{i}.png'), image)
            cv2.imwrite(str(root / 'ann_dir' / split / f'{i}.png'), label)
    return root


def _dataloader(root: Path, split: str, pipeline: list[dict], **options) -> dict:
    prefix = dict(img_path=f'img_dir/{split}', seg_map_path=f'ann_dir/{split}')
    dataset = dict(type='WTADataset', data_root=str(root), data_prefix=prefix, pipeline=pipeline)
    dataset['serialize_data'] = False  # it collects garbage, which takes longer than all else
    sampler = dict(type='DefaultSampler', shuffle=False)
    return dict(batch_size=1, num_workers=0, sampler=sampler, dataset=dataset) | options


@pytest.fixture
def experiment(blades, tmp_path, monkeypatch) -> Callable[..., Config]:
    """A function that makes a config of a few iterations; its arguments are ``--cfg-options``.

    The model is a Fast-SCNN whose norm knows one sample only (GN), with dropout, trained with augmentation and
    Adam: what one run draws and remembers is all in it.
    """
    # configs are laid out beautifully for each log and checkpoint; that takes longer than the training here
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))
    # also beside a GPU, whose sums have no fixed order: many tests compare runs to the bit
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cpu')
    load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    train = [
        *load,
        dict(type='RandomCrop', crop_size=(48, 48)),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackSegInputs'),
    ]
    test = [*load, dict(type='PackSegInputs')]
    loss = dict(type='CrossEntropyLoss', loss_weight=1.0)
    model = dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', mean=[80.0] * 3, std=[50.0] * 3, size=(48, 48)),
        backbone=dict(
            type='FastSCNN',
            downsample_dw_channels=(8, 8),
            global_in_channels=8,
            global_block_channels=(8, 8, 16),
            global_out_channels=8,
            higher_in_channels=8,
            lower_in_channels=8,
            fusion_out_channels=8,
            norm_cfg=_NORM,
        ),
        decode_head=dict(
            type='FCNHead',
            in_channels=8,
            channels=8,
            num_convs=1,
            num_classes=3,
            norm_cfg=_NORM,
            loss_decode=loss,
        ),
        test_cfg=dict(mode='whole'),
    )

    def make(**options) -> Config:
        cfg = Config(
            dict(
                default_scope='mmseg',
                experiment_name=f'run{next(_RUN_NUMBERS)}',
                work_dir=str(tmp_path / 'work'),
                model=model,
                train_dataloader=_dataloader(
                    blades, 'train', train, batch_size=2, sampler=dict(type='InfiniteSampler')
                ),
                val_dataloader=_dataloader(blades, 'val', test),
                test_dataloader=_dataloader(blades, 'test', test),
                val_evaluator=dict(type='IoUMetric'),
                test_evaluator=dict(type='IoUMetric'),
                train_cfg=dict(type='IterBasedTrainLoop', max_iters=4, val_interval=1000),
                val_cfg=dict(type='ValLoop'),
                test_cfg=dict(type='TestLoop'),
                optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.01)),
                param_scheduler=[dict(type='PolyLR', power=0.9, begin=0, end=8, by_epoch=False)],
                default_hooks=dict(
                    logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
                    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
                    visualization=dict(type='SegVisualizationHook'),
                ),
                visualizer=dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
                log_processor=dict(by_epoch=False),
                randomness=dict(seed=3),
                env_cfg=dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0)),
            )
        )
        cfg.merge_from_dict(options)
        return cfg

    return make
