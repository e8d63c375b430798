"""``save_best`` takes each scalar of IoUMetric, also one that is nan at first."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmseg.engine import CheckpointHook
from mmseg.evaluation import IoUMetric


class Guess(BaseModel):
    """Predicts class 1 only, and in its last validation the right ids."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.rounds = 0

    def forward(self, label, mode='tensor'):
        if mode == 'loss':
            return dict(loss=self.weight.sum())
        self.rounds += 1
        # In the first round the ground truth holds no class 1 at all, so that its IoU is nan.
        truth = torch.zeros_like(label) if self.rounds == 1 else label
        pred = label if self.rounds == 3 else torch.ones_like(label)
        return [dict(pred_sem_seg=dict(data=p), gt_sem_seg=dict(data=t)) for p, t in zip(pred, truth)]


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.parametrize(('prefix', 'key'), [(None, 'IoU.broken'), ('val', 'val/IoU.broken')])
def test_best_checkpoint(tmp_path, prefix, key):
    metric = IoUMetric(prefix=prefix)
    metric.dataset_meta = dict(classes=('normal', 'broken'))
    item = dict(label=torch.tensor([[[0, 1]]]))
    runner = Runner(
        model=Guess(),
        work_dir=str(tmp_path),
        train_dataloader=DataLoader([item] * 3),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=3, val_interval=1),
        optim_wrapper=OptimWrapper(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)),
        val_dataloader=DataLoader([item]),
        val_cfg=dict(),
        val_evaluator=[metric],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=-1, save_best=key)
        ),
        default_scope='mmseg',
        experiment_name=f'{tmp_path.name}-{prefix}',
        log_level='ERROR',
    )
    runner.train()
    # nan in the first round is never best, 50 % in the second is, and 100 % in the third replaces it.
    name = f'best_{key}_iter_3.pth'.replace('/', '_')
    assert [p.name for p in tmp_path.glob('best_*')] == [name]
    assert runner.message_hub.get_info('best_score') == 100.0


@pytest.mark.parametrize(
    ('key', 'rule'),
    [
        ('mOPFound', 'greater'),
        ('Found_to5.broken', 'greater'),
        ('AP.broken', 'greater'),
        ('ImageAUROC', 'greater'),
        ('PRO', 'greater'),
        ('FA.broken', 'less'),
        # whatever the class is called
        ('OPFA.protrusion', 'less'),
        ('val/FA.gap', 'less'),
    ],
)
def test_which_is_better_follows_from_the_name(key, rule):
    assert CheckpointHook(save_best=key).rules == [rule]
