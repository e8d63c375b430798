"""mmengine's checkpoint hook, with the names of segmentation metrics, a subfolder, and a checkpoint on SIGTERM and SIGHUP."""

import signal
import threading
from pathlib import Path

from mmengine.dist import is_distributed, is_main_process
from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmengine.runner import Runner

from mmseg.engine.run_settings import check_save_best
from mmseg.registry import HOOKS

#: Signals on which a training saves a checkpoint and ends.
STOPPING = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, 'SIGHUP') else (signal.SIGTERM,)


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """Saves checkpoints; ``save_best`` accepts every scalar of ``IoUMetric``.

    mmengine derives from a metric's name whether more is better, and asks for ``rule='greater'`` where it
    cannot: for ``save_best='IoU.broken'``, for example. This hook can. A score of NaN, as of a class without
    a pixel in the ground truth, never counts as best.

    On SIGTERM (``kill``, a time limit of Slurm or of a study) and SIGHUP (a closed terminal, unless ``nohup`` was used),
    a run of one process that counts iterations saves a checkpoint after the current iteration and exits with status
    143 or 129; a second signal ends it at once.

    Args:
        subfolder: folder of all checkpoints below mmengine's place for them (the work folder, or
            ``out_dir/<name of the work folder>``); ``'ckpt'`` gives ``<work_dir>/ckpt/iter_4000.pth``.
            mmengine's ``last_checkpoint`` stays in the work folder.
        kwargs: as of mmengine's hook.

    Raises:
        ValueError: ``subfolder`` leaves the work folder.
    """

    # mmengine leaves these to the packages that build on it. They are compared without case.
    _default_greater_keys = [
        *_CheckpointHook._default_greater_keys,
        'IoU',
        'Dice',
        'Fscore',
        'Recall',
    ]
    _signal: signal.Signals | None = None

    def __init__(self, *args, subfolder: str = '', **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if Path(subfolder).is_absolute() or '..' in Path(subfolder).parts:
            raise ValueError(
                f"CheckpointHook: subfolder={subfolder!r}; expected a folder below the work folder, such as 'ckpt'"
            )
        self.subfolder = subfolder
        self._given_out_dir = self.out_dir

    def folder(self, work_dir: str | Path) -> Path:
        """Where the checkpoints of a run with this work folder are; of a run on the local disk."""
        given = self._given_out_dir
        return Path(given or '', Path(work_dir).name if given else work_dir, self.subfolder)

    def before_train(self, runner: Runner) -> None:
        """Resolve the folder of the checkpoints, and listen for SIGTERM and SIGHUP where nothing else does.

        Raises:
            ValueError: the validation does not compute ``save_best``.
        """
        check_save_best(runner, self.save_best)
        self.out_dir = self._given_out_dir
        surplus = self._surplus_steps(runner)
        super().before_train(runner)
        if self.subfolder:
            self.out_dir = self.file_backend.join_path(self.out_dir, self.subfolder)
            runner.logger.info(f'In its subfolder: {self.out_dir}')
            self._remove(surplus)
        if self.by_epoch or is_distributed() or threading.current_thread() is not threading.main_thread():
            return
        for number in STOPPING:
            listener = signal.getsignal(number)
            of_a_failed_run = getattr(listener, '__func__', None) is CheckpointHook._on_signal
            if listener is signal.SIG_DFL or of_a_failed_run:
                signal.signal(number, self._on_signal)

    def _surplus_steps(self, runner: Runner) -> list[int]:
        """Steps of a resumed run that ``max_keep_ckpts`` drops; mmengine looks for them outside the subfolder."""
        if self.max_keep_ckpts <= 0 or 'keep_ckpt_ids' not in runner.message_hub.runtime_info:
            return []
        return list(runner.message_hub.get_info('keep_ckpt_ids'))[: -self.max_keep_ckpts]

    def _remove(self, steps: list[int]) -> None:
        for step in steps if is_main_process() else []:
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _on_signal(self, number: int, _) -> None:
        self._signal = signal.Signals(number)
        self._stop_listening()

    def _stop_listening(self) -> None:
        for number in STOPPING:
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, signal.SIG_DFL)

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Save where it is due; after a SIGTERM or SIGHUP save and exit.

        Raises:
            SystemExit: the process received the signal.
        """
        super().after_train_iter(runner, *args, **kwargs)
        if self._signal is None:
            return
        if Path(self.last_ckpt or '').name != self.filename_tmpl.format(runner.iter + 1):
            self._save_checkpoint(runner)
        runner.logger.warning(f'{self._signal.name}: saved {self.last_ckpt}; --resume continues from there')
        raise SystemExit(128 + self._signal)

    def after_train(self, runner: Runner) -> None:
        """As mmengine's; from here on SIGTERM and SIGHUP end the process at once."""
        self._stop_listening()
        super().after_train(runner)
