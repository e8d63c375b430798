"""``CheckpointHook(subfolder=…)``: all checkpoints in a folder of their own, found again when resuming."""

from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel
from torch.utils.data import DataLoader

from mmseg.engine import CheckpointHook, SegRunner
from mmseg.evaluation import IoUMetric


class Line(BaseModel):
    """One weight; predicts the labels it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, label, mode='tensor'):
        if mode == 'loss':
            return dict(loss=(self.weight**2).sum())
        return [dict(pred_sem_seg=dict(data=item), gt_sem_seg=dict(data=item)) for item in label]


def train(folder, iterations, resume=False, **hook):
    metric = IoUMetric()
    metric.dataset_meta = dict(classes=('normal', 'broken'))
    item = dict(label=torch.tensor([[[0, 1]]]))
    runner = SegRunner(
        model=Line(),
        work_dir=str(folder),
        train_dataloader=DataLoader([item] * 4),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=2),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
        val_dataloader=DataLoader([item]),
        val_cfg=dict(),
        val_evaluator=[metric],
        default_hooks=dict(
            check_dataset=None,
            checkpoint=dict(
                type='CheckpointHook',
                by_epoch=False,
                interval=1,
                save_best='IoU.broken',
                subfolder='ckpt',
                **hook,
            ),
        ),
        default_scope='mmseg',
        resume=resume,
        log_level='ERROR',
    )
    runner.train()
    return runner


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.parametrize('pointer', [True, False])
def test_checkpoints_are_saved_and_found_there(tmp_path, pointer):
    folder = tmp_path / 'train'
    train(folder, 3)
    saved = {path.name for path in (folder / 'ckpt').iterdir()}
    assert saved == {'iter_1.pth', 'iter_2.pth', 'iter_3.pth', 'best_IoU.broken_iter_2.pth'}
    assert not list(folder.glob('*.pth'))
    assert (folder / 'last_checkpoint').read_text() == str(folder / 'ckpt/iter_3.pth')
    if not pointer:
        (folder / 'last_checkpoint').unlink()
    runner = train(folder, 4, resume=True)
    assert runner.iter == 4 and runner.model.weight.item() == pytest.approx(0.8**4)


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_a_limit_on_checkpoints_holds_there_also_after_resuming(tmp_path):
    train(tmp_path, 3, max_keep_ckpts=3)
    train(tmp_path, 4, resume=True, max_keep_ckpts=1)
    assert {path.name for path in (tmp_path / 'ckpt').glob('iter_*')} == {'iter_4.pth'}


def test_the_folder_follows_out_dir():
    assert CheckpointHook(subfolder='ckpt').folder('a/train') == Path('a/train/ckpt')
    assert CheckpointHook(out_dir='/far', subfolder='ckpt').folder('a/train').as_posix() == '/far/train/ckpt'
    for subfolder in ('../x', '/x'):
        with pytest.raises(ValueError, match='expected a folder below the work folder'):
            CheckpointHook(subfolder=subfolder)
