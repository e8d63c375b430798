"""mmengine's checkpoint hook, with the names of segmentation metrics and a last checkpoint when told to end."""

import signal
import threading
from pathlib import Path

from mmengine.dist import is_distributed
from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmengine.runner import Runner

from mmseg.registry import HOOKS


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """Saves checkpoints; ``save_best`` knows every scalar of ``IoUMetric``.

    mmengine infers from a metric's name whether more is better, and asks for ``rule='greater'`` where it
    cannot: for ``save_best='IoU.broken'``, for example. Here it can. A score of nan, as of a class without
    a pixel in the ground truth, never counts as best.

    Told to end (SIGTERM: ``kill``, a time limit of Slurm or of a study), a run of one process that counts
    iterations saves a checkpoint after the current one and exits with status 143; a second signal ends it at once.
    """

    # mmengine leaves these to the packages that stand on it. They are compared without case.
    _default_greater_keys = [
        *_CheckpointHook._default_greater_keys,
        'IoU',
        'Dice',
        'Fscore',
        'Recall',
    ]
    _told_to_end = False

    def before_train(self, runner: Runner) -> None:
        """Listen for SIGTERM where nobody else does."""
        super().before_train(runner)
        if self.by_epoch or is_distributed() or threading.current_thread() is not threading.main_thread():
            return
        listener = signal.getsignal(signal.SIGTERM)
        of_a_failed_run = getattr(listener, '__func__', None) is CheckpointHook._end_soon
        if listener is signal.SIG_DFL or of_a_failed_run:
            signal.signal(signal.SIGTERM, self._end_soon)

    def _end_soon(self, *_) -> None:
        self._told_to_end = True
        self._stop_listening()

    def _stop_listening(self) -> None:
        if signal.getsignal(signal.SIGTERM) == self._end_soon:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Save where it is due; told to end, save and end.

        Raises:
            SystemExit: the process was told to end.
        """
        super().after_train_iter(runner, *args, **kwargs)
        if not self._told_to_end:
            return
        if Path(self.last_ckpt or '').name != self.filename_tmpl.format(runner.iter + 1):
            self._save_checkpoint(runner)
        runner.logger.warning(f'told to end (SIGTERM): saved {self.last_ckpt}; --resume goes on from there')
        raise SystemExit(128 + signal.SIGTERM)

    def after_train(self, runner: Runner) -> None:
        """As mmengine's; SIGTERM ends the process at once again."""
        self._stop_listening()
        super().after_train(runner)
