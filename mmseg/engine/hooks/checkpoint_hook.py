"""mmengine's checkpoint hook, with the names of segmentation metrics, a subfolder, and a checkpoint on SIGTERM."""

import signal
import threading
from pathlib import Path

from mmengine.dist import is_distributed, is_main_process
from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmengine.runner import Runner

from mmseg.registry import HOOKS


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """Saves checkpoints; ``save_best`` accepts every scalar of ``IoUMetric`` and ``InspectionMetric``.

    mmengine derives from a metric's name whether more is better, and asks for ``rule='greater'`` where it
    cannot: for ``save_best='IoU.broken'``, for example. This hook can. A score of NaN, as of a class without
    a pixel in the ground truth, never counts as best.

    On SIGTERM (``kill``, a time limit of Slurm or of a study), a run of one process that counts iterations saves a
    checkpoint after the current iteration and exits with status 143; a second signal ends it at once.

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
        'Found',
        'AUROC',
        'PRO',
        'AP',
    ]
    #: Metrics of which less is better, by the part of their names before the class.
    _less_metrics = ('FA', 'OPFA')
    _sigterm_received = False

    def __init__(self, *args, subfolder: str = '', **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if Path(subfolder).is_absolute() or '..' in Path(subfolder).parts:
            raise ValueError(
                f"CheckpointHook: subfolder={subfolder!r}; expected a folder below the work folder, such as 'ckpt'"
            )
        self.subfolder = subfolder
        self._given_out_dir = self.out_dir

    def _init_rule(self, rules: list[str | None], key_indicators: list[str]) -> None:
        rules = list(rules) * len(key_indicators) if len(rules) == 1 else rules
        metrics = (key.rpartition('/')[2].partition('.')[0] for key in key_indicators)
        rules = [
            'less' if rule is None and name in self._less_metrics else rule
            for rule, name in zip(rules, metrics)
        ]
        super()._init_rule(rules, key_indicators)

    def folder(self, work_dir: str | Path) -> Path:
        """Where the checkpoints of a run with this work folder are; of a run on the local disk."""
        given = self._given_out_dir
        return Path(given or '', Path(work_dir).name if given else work_dir, self.subfolder)

    def before_train(self, runner: Runner) -> None:
        """Resolve the folder of the checkpoints, and listen for SIGTERM where nothing else does."""
        self.out_dir = self._given_out_dir
        surplus = self._surplus_steps(runner)
        super().before_train(runner)
        if self.subfolder:
            self.out_dir = self.file_backend.join_path(self.out_dir, self.subfolder)
            runner.logger.info(f'In its subfolder: {self.out_dir}')
            self._remove(surplus)
        if self.by_epoch or is_distributed() or threading.current_thread() is not threading.main_thread():
            return
        listener = signal.getsignal(signal.SIGTERM)
        of_a_failed_run = getattr(listener, '__func__', None) is CheckpointHook._on_sigterm
        if listener is signal.SIG_DFL or of_a_failed_run:
            signal.signal(signal.SIGTERM, self._on_sigterm)

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

    def _on_sigterm(self, *_) -> None:
        self._sigterm_received = True
        self._stop_listening()

    def _stop_listening(self) -> None:
        if signal.getsignal(signal.SIGTERM) == self._on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Save where it is due; after a SIGTERM save and exit.

        Raises:
            SystemExit: the process received SIGTERM.
        """
        super().after_train_iter(runner, *args, **kwargs)
        if not self._sigterm_received:
            return
        if Path(self.last_ckpt or '').name != self.filename_tmpl.format(runner.iter + 1):
            self._save_checkpoint(runner)
        runner.logger.warning(f'SIGTERM: saved {self.last_ckpt}; --resume continues from there')
        raise SystemExit(128 + signal.SIGTERM)

    def after_train(self, runner: Runner) -> None:
        """As mmengine's; from here on SIGTERM ends the process at once."""
        self._stop_listening()
        super().after_train(runner)
