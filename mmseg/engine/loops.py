"""The training loop by iterations; a resumed run gives the losses of an uninterrupted one."""

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.runner import IterBasedTrainLoop as _IterBasedTrainLoop
from mmengine.runner.loops import _InfiniteDataloaderIterator

from mmseg.registry import LOOPS

from .data_stream import seed_generators


@LOOPS.register_module()
class IterBasedTrainLoop(_IterBasedTrainLoop):
    """mmengine's loop with two differences that make resuming exact, and less work between the steps.

    The generators that the model draws from (dropout, drop path) are seeded in each iteration from (seed,
    iteration, rank), so that their state need not be saved. A resumed run sets the sampler to its position in
    the stream, where mmengine loads and discards every batch before it.

    Args: those of mmengine's loop.
    """

    def run(self) -> torch.nn.Module:
        """Train up to ``max_iters``; returns the model."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self._seek_in_stream()
        if self._iter > 0 and self._validation_due() and self._validated_iter() != self._iter:
            # the checkpoint of an iteration is written before its validation; the run was stopped in between
            self._validate()
        self.runner.model.train()
        while self._iter < self._max_iters and not self.stop_training:
            if (
                not self.runner.model.training
            ):  # after a validation; in each step it would take longer than all else
                self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            if self._validation_due():
                self._validate()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_iter(self, data_batch: dict) -> None:
        """One step on one batch, with the generators seeded for it."""
        key = (self.runner.seed, self._iter, get_rank())
        seed_generators(*key)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))
        super().run_iter(data_batch)

    def _seek_in_stream(self) -> None:
        hub, sampler = self.runner.message_hub, self.dataloader.sampler
        if self._iter > 0:
            if hasattr(sampler, 'seek') and self.dataloader.batch_size is not None:
                sampler.seek(
                    self._iter * self.dataloader.batch_size, hub.get_info('sampler_seed', self.runner.seed)
                )
                self.dataloader_iterator = _InfiniteDataloaderIterator(self.dataloader)
            else:
                self.runner.logger.warning(
                    f'{type(sampler).__name__} can not start in the middle: {self._iter} batches are loaded and '
                    "discarded. train_dataloader.sampler=dict(type='InfiniteSampler') avoids that"
                )
                for _ in range(self._iter):
                    next(self.dataloader_iterator)
        if hasattr(sampler, 'seed'):
            hub.update_info('sampler_seed', sampler.seed)

    def _validation_due(self) -> bool:
        return (
            self.runner.val_loop is not None
            and self._iter >= self.val_begin
            and (self._iter % self.val_interval == 0 or self._iter == self._max_iters)
        )

    def _validated_iter(self) -> int:
        return self.runner.message_hub.get_info('last_validated_iter', 0)

    def _validate(self) -> None:
        # before the validation: saving the best checkpoint saves the message hub, too
        self.runner.message_hub.update_info('last_validated_iter', self._iter)
        self.runner.val_loop.run()
