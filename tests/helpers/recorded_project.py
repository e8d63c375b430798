"""Builds ``work_dirs/<project>`` as a finished batch job leaves it, in the format mmengine logs in."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CLASSES = ('defect', 'attached', 'broken')

CONFIG = """
model = dict(
    type='EncoderDecoder',
    backbone=dict(type={backbone!r}),
    decode_head=dict(type={head!r}, loss_decode={loss}))
train_dataloader = dict(dataset=dict(
    type='WTADataset', data_root={data!r}, data_prefix=dict(img_path='img_dir/train')))
test_dataloader = dict(dataset=dict(
    type='WTADataset', data_root={data!r},
    data_prefix=dict(img_path='img_dir/test', seg_map_path='ann_dir/test')))
"""


def metrics_of(ious, accs, a_acc=99.0) -> dict:
    """The scalars of IoUMetric, from values in the order of the classes."""
    row = {'aAcc': a_acc, 'mIoU': sum(ious) / len(ious), 'mAcc': sum(accs) / len(accs)}
    row |= {f'IoU.{name}': value for name, value in zip(CLASSES, ious)}
    return row | {f'Acc.{name}': value for name, value in zip(CLASSES, accs)}


def write_log(path: Path, validations: dict[int, dict]) -> Path:
    """A JSON log: two training records before each validation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for step, row in validations.items():
        for train_step in (step - 1, step):
            lines.append(
                {'lr': 0.001, 'loss': 0.1, 'decode.acc_seg': 99.7, 'iter': train_step, 'step': train_step}
            )
        lines.append({**row, 'data_time': 0.01, 'time': 0.1, 'step': step})
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines), encoding='utf-8')
    return path


def write_run(
    project: Path,
    name: str,
    test: dict | None = None,
    validations: dict[int, dict] | None = None,
    backbone: str = 'FastSCNN',
    head: str = 'DepthwiseSeparableFCNHead',
    loss: str = "dict(type='FocalLoss', gamma=2.0)",
    data: str = 'data/wta_512',
) -> Path:
    """One run without a ``run.json``; ``test=None`` leaves it without test results."""
    path = project / 'exp' / name
    vis_data = path / 'train/20250101_000000/vis_data'
    write_log(vis_data / '20250101_000000.json', validations or {})
    (vis_data / 'config.py').write_text(CONFIG.format(backbone=backbone, head=head, loss=loss, data=data))
    if test is not None:
        file = path / 'test/20250101_010000/20250101_010000.json'
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(test))
    return path
