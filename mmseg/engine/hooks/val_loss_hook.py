"""The loss on the validation set, beside the metrics."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample

VAL_LOSS = 'val_loss'


@HOOKS.register_module()
class ValLossHook(Hook):
    """Adds ``val_loss`` to the metrics of a validation: the mean loss over the images.

    It is the sum of the decode head's losses between predicted logits and labels, both at the size of the labels.
    Auxiliary heads do not predict and are left out, so that it is lower than the training loss of a model that has
    them. Nothing is predicted twice. Images without labels, and heads of one channel, whose predictions hold
    probabilities in place of logits, have no loss.
    """

    # before RuntimeInfoHook, which logs the metrics
    priority = 'HIGHEST'

    def before_val_epoch(self, runner: Runner) -> None:
        """Start at zero."""
        self._losses: list[torch.Tensor] = []

    @torch.no_grad()
    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[SegDataSample] | None = None,
    ) -> None:
        """Compute the loss of each image; it stays on the device, so that the host waits for none."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        head = getattr(model, 'decode_head', None)
        head = head[-1] if isinstance(head, torch.nn.ModuleList) else head
        if not hasattr(head, 'loss_of_logits') or head.out_channels == 1:
            return
        for sample in outputs or ():
            if 'gt_sem_seg' in sample and 'seg_logits' in sample:
                logits = sample.seg_logits.data[None]
                labels = sample.gt_sem_seg.data.to(logits.device).long()
                losses = head.loss_of_logits(logits.float(), labels)
                self._losses.append(
                    sum(value for name, value in losses.items() if 'loss' in name).reshape(())
                )

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add the mean over the images of all processes."""
        device = self._losses[0].device if self._losses else next(runner.model.parameters()).device
        total = torch.stack(self._losses).double().sum() if self._losses else torch.zeros((), device=device)
        totals = torch.stack([total.float(), torch.tensor(float(len(self._losses)), device=device)])
        self._losses = []
        all_reduce(totals)
        loss, count = totals.tolist()
        if count and metrics is not None:
            metrics[VAL_LOSS] = loss / count
