"""The loss on the validation set, beside the metrics."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from mmengine.dist import all_gather_object
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
    them. Nothing is predicted twice; an image that the sampler of several processes repeats counts once. Images without labels, and heads of one channel, whose predictions hold
    probabilities in place of logits, have no loss.
    """

    # before RuntimeInfoHook, which logs the metrics
    priority = 'HIGHEST'

    def before_val_epoch(self, runner: Runner) -> None:
        """Start without losses."""
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
        for sample in outputs or ():
            if 'gt_sem_seg' in sample and 'seg_logits' in sample and _has_loss(head):
                logits = sample.seg_logits.data[None]
                labels = sample.gt_sem_seg.data.to(logits.device).long()
                losses = head.loss_of_logits(logits.float(), labels)
                value = sum(value for name, value in losses.items() if 'loss' in name).reshape(()).double()
                self._losses.append(torch.stack([value, torch.ones_like(value)]))
            else:
                self._losses.append(torch.zeros(2, dtype=torch.float64))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add the mean over the images of all processes."""
        # of each image: its loss and 1, or zeros
        mine = torch.stack([loss.cpu() for loss in self._losses]) if self._losses else torch.zeros(0, 2)
        self._losses = []
        losses = _in_order(all_gather_object(mine), len(runner.val_loop.dataloader.dataset))
        loss, count = losses.sum(0).tolist()
        if count and metrics is not None:
            metrics[VAL_LOSS] = loss / count


def _has_loss(head: torch.nn.Module | None) -> bool:
    return hasattr(head, 'loss_of_logits') and head.out_channels != 1


def _in_order(parts: Sequence[torch.Tensor], images: int) -> torch.Tensor:
    """Rows of the processes in the order of the images, without those that a sampler repeats at the end.

    Process r of w has the images r, r + w, …; so a sum over them does not depend on the number of processes.
    """
    rows = [row for group in zip_longest(*parts) for row in group if row is not None]
    return torch.stack(rows[:images]) if rows else torch.zeros(1, 2)
