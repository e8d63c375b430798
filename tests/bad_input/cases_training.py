"""Wrong configs, options, datasets and checkpoints for ``wta-seg train`` and ``wta-seg test``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bad_cases import Case
from cases_annotations import folder, loop, pipe
from hostile import png_bomb

TRAIN, TEST = 'train {config} --work-dir w', 'test {config} {checkpoint} --work-dir w'


def option(key: str, value: str, *names: str, argv: str = TRAIN) -> Case:
    """A value of the config that can not be used."""
    return Case((*argv.split(), '--cfg-options', f'{key}={value}'), names)


OPTIONS = [
    option(key, value, *(names or (key, value)))
    for key, value, *names in [
        ('train_cfg.max_iters', '0'),
        ('train_cfg.max_iters', '-5'),
        ('train_cfg.max_iters', 'x', 'max_iters', "'x'"),
        ('train_cfg.max_iters', '2.5', 'max_iters', '2.5'),
        ('train_cfg.val_interval', '0'),
        ('train_cfg.val_interval', 'x', 'val_interval', "'x'"),
        ('train_cfg.type', 'NoSuchLoop', 'NoSuchLoop', 'train_cfg'),
        ('model.type', 'NoSuchModel', 'NoSuchModel', 'model'),
        ('model.backbone.type', 'NoSuchBackbone', 'NoSuchBackbone', 'backbone'),
        ('model.backbone.no_such_argument', '1', 'no_such_argument'),
        ('model.backbone.norm_cfg.type', 'NoSuchNorm', 'NoSuchNorm'),
        ('model.backbone.fusion_out_channels', 'x', 'tiny.py'),
        ('model.decode_head.type', 'NoSuchHead', 'NoSuchHead', 'decode_head'),
        ('model.decode_head.num_classes', 'three', 'tiny.py'),
        ('model.decode_head.num_classes', '0', 'num_classes'),
        ('model.decode_head.num_classes', '7', 'num_classes', '7', '3'),
        ('model.decode_head.channels', 'None', 'tiny.py'),
        ('model.decode_head.in_channels', '5', 'tiny.py'),
        ('model.decode_head.loss_decode.type', 'NoSuchLoss', 'NoSuchLoss', 'loss_decode'),
        ('model.decode_head.loss_decode', 'x', 'tiny.py'),
        ('model.data_preprocessor.mean', 'x', 'tiny.py', "'str'"),
        ('model.data_preprocessor.type', 'NoSuch', 'NoSuch', 'data_preprocessor'),
        ('model.test_cfg.mode', 'slide', 'slide'),
        ('model.test_cfg.mode', 'x', 'mode', 'x'),
        ('train_dataloader.dataset.type', 'NoSuchSet', 'NoSuchSet', 'train_dataloader.dataset'),
        ('train_dataloader.dataset.data_root', '/no/such/folder', '/no/such/folder'),
        ('train_dataloader.dataset.img_suffix', '.xyz', '.xyz'),
        ('train_dataloader.dataset.ann_file', 'nowhere.txt', 'nowhere.txt'),
        ('train_dataloader.dataset.pipeline', 'x', 'train_dataloader', 'transform'),
        ('train_dataloader.dataset.pipeline.0.type', 'NoSuchTransform', 'NoSuchTransform'),
        ('train_dataloader.batch_size', '0', 'batch_size', '0'),
        ('train_dataloader.batch_size', '-1', 'batch_size', '-1'),
        ('train_dataloader.batch_size', 'x', 'batch_size', 'x'),
        ('train_dataloader.sampler.type', 'NoSuchSampler', 'NoSuchSampler'),
        ('train_dataloader.num_workers', '-1', 'num_workers'),
        ('val_dataloader.dataset.data_root', '/no/such/folder', '/no/such/folder'),
        ('val_dataloader.dataset.data_prefix.img_path', 'nowhere', 'nowhere'),
        ('val_evaluator.0.type', 'NoSuchMetric', 'NoSuchMetric'),
        ('val_evaluator.iou_metrics', '[mIuo]', 'mIuo'),
        ('optim_wrapper.optimizer.type', 'NoSuchOptimizer', 'NoSuchOptimizer'),
        ('optim_wrapper.optimizer.lr', 'x', 'optim_wrapper', "'str'"),
        ('optim_wrapper.optimizer.lr', '-1', 'tiny.py', '-1'),
        ('optim_wrapper.type', 'NoSuchWrapper', 'NoSuchWrapper'),
        ('param_scheduler.0.type', 'NoSuchScheduler', 'NoSuchScheduler'),
        ('param_scheduler.0.power', 'x', 'tiny.py'),
        ('default_hooks.checkpoint.type', 'NoSuchHook', 'NoSuchHook'),
        ('default_hooks.checkpoint.save_best', 'IoU.brokn', 'IoU.brokn'),
        ('default_hooks.checkpoint.subfolder', '../x', 'subfolder', '../x'),
        ('default_hooks.checkpoint.interval', 'x', 'tiny.py'),
        ('default_hooks.logger.interval', '0', 'interval'),
        ('load_from', '/no/such/file.pth', '/no/such/file.pth'),
        ('data_root', 'x', 'data_root'),
        ('optimizer.lr', '1', 'optimizer'),
        ('no_such_key', '1', 'no_such_key'),
        ('model.bakbone.type', 'X', 'bakbone'),
        ('randomness.seed', 'x', 'tiny.py'),
    ]
]
COMMAND_LINES = [
    Case(argv, names)
    for argv, *names in [
        ('train no_such_config', 'no_such_config'),
        ('train /no/such/config.py', '/no/such/config.py'),
        ('train', 'config'),
        ('train fastscnn/fast_scnn_4xb4-40k_wta-513x512', 'fast_scnn_4xb4-40k_wta-513x512', 'near'),
        (f'{TRAIN} --data nowhere', 'nowhere'),
        (f'{TRAIN} --resume nowhere.pth', 'nowhere.pth'),
        (f'{TRAIN} --resume a.pth b.pth', '--resume', 'a.pth'),
        (f'{TRAIN} --early-stop 0', '--early-stop', '0'),
        (f'{TRAIN} --early-stop x', '--early-stop', 'x'),
        (f'{TRAIN} --launcher x', '--launcher', 'x'),
        (f'{TRAIN} --cfg-options x', "'x'"),
        (f'{TRAIN} --cfg-options =1', "'=1'"),
        (f'{TRAIN} --nosuch', '--nosuch'),
        ('test no_such_config {checkpoint}', 'no_such_config'),
        ('test {config}', 'work_dirs/tiny', 'no checkpoint'),
        ('test {config} nowhere.pth --work-dir w', 'nowhere.pth'),
        (f'{TEST} --data nowhere', 'nowhere'),
        (f'{TEST} --wait-time x', '--wait-time', 'x'),
        (f'{TEST} --cfg-options test_evaluator.0.iou_metrics=[x]', 'x'),
    ]
]
CONFIGS = [
    Case('train c.py --work-dir w', ('c.py', *names), {'c.py': text, 'a.py': 'model = dict(type=1)\n'})
    for text, *names in [
        ('model = dict(',),
        ("_base_ = './c.py'\n",),
        ("_base_ = './nothing.py'\n", 'nothing.py'),
        ('_base_ = 7\n',),
        ('model = dict(type=Undefined)\n', 'Undefined'),
        ('model = dict(a=1 / 0)\n', 'division by zero'),
        ('a = 1\n', 'model'),
        ('model = 5\n', 'model'),
        ('', 'model'),
        ('\x00\x01',),
        ("filename = 'a'\nmodel = dict()\n", 'filename'),
        ('assert False\n',),
        ("model = {}['a']\n",),
        ('raise SystemExit(0)\n',),
    ]
]
CONFIGS += [
    Case(f'train {name} --work-dir w', (name,), {name: text})
    for name, text in [
        ('b.json', '{"model": '),
        ('l.json', '[1]'),
        ('d.json', '[' * 100_000),
        ('b.yaml', 'model: [1, 2'),
        ('t.yaml', 'model: !!python/object/apply:os.system ["touch hacked"]\n'),
        ('d.yaml', '[' * 3000),
        ('s.txt', 'model = dict()'),
        ('f.py', folder),
        ('p.py', pipe),
        ('l.py', loop),
    ]
]

RNG = np.random.default_rng(0)
LABEL = (RNG.random((64, 64)) < 0.1).astype(np.uint8)
DATA = {
    f'd/img_dir/{s}/{n}.png': RNG.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for s in ('train', 'val', 'test')
    for n in 'ab'
}
DATA |= {f'd/ann_dir/{s}/{n}.png': LABEL for s in ('train', 'val', 'test') for n in 'ab'}


def absent(path: Path) -> None:
    """No file."""


def dataset(*changes: Any) -> dict[str, Any]:
    """The dataset with files changed: path and content one after the other."""
    return DATA | {f'd/{path}': content for path, content in zip(changes[::2], changes[1::2])}


def nothing_labelled() -> dict[str, Any]:
    """Every pixel of the test set is ignored."""
    ignored = np.full((64, 64), 255, np.uint8)
    return dataset('ann_dir/test/a.png', ignored, 'ann_dir/test/b.png', ignored)


DATASETS = [
    Case(f'{argv} --data d', (file.rpartition('/')[2], *names), dataset(file, content))
    for argv, split in ((TRAIN, 'train'), (TRAIN, 'val'), (TEST, 'test'))
    for file, content, *names in [
        (f'ann_dir/{split}/b.png', LABEL * 7, '7'),
        (f'ann_dir/{split}/b.png', LABEL[:32], '64 x 32', '64 x 64'),
        (f'ann_dir/{split}/b.png', np.stack([LABEL] * 3, -1), 'RGB'),
        (f'ann_dir/{split}/b.png', LABEL.astype(np.uint16) * 300, '300'),
        (f'ann_dir/{split}/b.png', b'no image'),
        (f'ann_dir/{split}/b.png', b''),
        (f'ann_dir/{split}/b.png', absent),
        (f'ann_dir/{split}/b.png', pipe),
        (f'ann_dir/{split}/b.png', loop),
        (f'ann_dir/{split}/b.png', png_bomb(60_000, 60_000)),
        (f'img_dir/{split}/b.png', b'no image'),
        (f'img_dir/{split}/b.png', b''),
        (f'img_dir/{split}/b.png', png_bomb(20_000, 10)),
        (f'img_dir/{split}/b.png', png_bomb(60_000, 60_000)),
        (f'img_dir/{split}/b.jpg', RNG.integers(0, 255, (64, 64, 3)).astype(np.uint8), 'b.png'),
    ]
]
DATASETS += [
    Case(f'{TEST} --data d', ('ann_dir/test', '255'), nothing_labelled()),
    Case(f'{TRAIN} --data d', ('d', 'img_dir'), {'d/x.txt': 'x'}),
    Case(f'{TRAIN} --data d', ('img_dir/val',), {'d/img_dir/train/x.txt': 'x', 'd/ann_dir/train/x.txt': 'x'}),
]


def weights(change: Any) -> Any:
    """A function that writes a changed checkpoint of one linear layer or of the experiment."""

    def write(path: Path) -> None:
        torch.save(change, path)

    return write


class Changed:
    """Writes the experiment's checkpoint, changed by a function."""

    source: Path  # set by the fixture that trains it

    def __init__(self, change: Callable[[dict], dict]) -> None:
        self.change, self.__name__ = change, change.__name__

    def __call__(self, path: Path) -> None:
        torch.save(self.change(torch.load(self.source, weights_only=True)), path)


def with_nan(content: dict) -> dict:
    """One weight is not a number."""
    next(value for value in content['state_dict'].values() if value.is_floating_point()).view(-1)[0] = float(
        'nan'
    )
    return content


def with_other_classes(content: dict) -> dict:
    """The last layer of the head has five classes."""
    content['state_dict'] |= {
        key: torch.zeros(5, *value.shape[1:])
        for key, value in content['state_dict'].items()
        if 'conv_seg' in key
    }
    return content


def with_half(content: dict) -> dict:
    """Every second tensor is missing."""
    content['state_dict'] = dict(list(content['state_dict'].items())[::2])
    return content


def with_more(content: dict) -> dict:
    """A tensor that the model does not have."""
    content['state_dict']['surplus.weight'] = torch.zeros(3)
    return content


CHECKPOINTS = [
    Case(f'{command} --work-dir w', ('c.pth', *names), {'c.pth': content})
    for command in ('test {config} c.pth', 'train {config} --cfg-options load_from=c.pth')
    for content, *names in [
        (b'',),
        (b'no checkpoint',),
        (folder,),
        (pipe,),
        (weights({'a': 1}),),
        (weights([1, 2]),),
        (weights({'state_dict': {}}),),
        (weights({'state_dict': {'weight': torch.zeros(3)}}), '1 unexpected'),
        (weights({'state_dict': 5}),),
        (Changed(with_nan), 'NaN'),
        (Changed(with_other_classes), 'conv_seg'),
        (Changed(with_half), 'missing'),
        (Changed(with_more), 'surplus.weight'),
    ]
]
TRAINING = OPTIONS + COMMAND_LINES + CONFIGS + DATASETS + CHECKPOINTS
