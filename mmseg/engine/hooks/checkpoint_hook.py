"""mmengine's checkpoint hook with names of segmentation metrics, a subfolder, and a checkpoint on a stop signal."""

import signal
from pathlib import Path

import torch
from mmengine.dist import is_distributed, is_main_process
from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmengine.runner import BaseLoop, Runner

from mmseg.engine.run_settings import check_save_best
from mmseg.registry import HOOKS

from ..exchange import host_group
from ..stop_signals import StopListener

# key of the iteration at which a signal stopped the run, in the message hub
_STOPPED_AT = 'stopped_at'


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """Saves checkpoints; ``save_best`` accepts every scalar of ``IoUMetric`` and ``InspectionMetric``.

    mmengine derives from a metric's name whether more is better, and asks for ``rule='greater'`` where it
    cannot: for ``save_best='IoU.broken'``, for example. This hook can. A score of NaN, as of a class without
    a pixel in the ground truth, never counts as best.

    On SIGTERM (``kill``, a time limit of Slurm or of a study), SIGINT (Ctrl-C) or SIGHUP (a closed terminal), a run
    that counts iterations saves a checkpoint after the current iteration and exits with status 143, 130 or 129; a
    second signal ends it at once. That checkpoint is removed when the resumed run has saved the next one. The processes of a distributed run agree on the iteration; it is enough that one of
    them receives the signal. A run that counts epochs ends at once, and says so at its start: its checkpoints are at
    the ends of epochs.

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

    def __init__(self, *args, subfolder: str = '', **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if Path(subfolder).is_absolute() or '..' in Path(subfolder).parts:
            raise ValueError(
                f"CheckpointHook: subfolder={subfolder!r}; expected a folder below the work folder, such as 'ckpt'"
            )
        self.subfolder = subfolder
        self._listener = StopListener()
        self._group: torch.distributed.ProcessGroup | None = None
        self._given_out_dir = self.out_dir

    def _init_rule(self, rules: list[str | None], key_indicators: list[str]) -> None:
        rules = list(rules) * len(key_indicators) if len(rules) == 1 else rules
        rules = [
            'less' if rule is None and self.is_less(key) else rule for rule, key in zip(rules, key_indicators)
        ]
        super()._init_rule(rules, key_indicators)

    @classmethod
    def is_less(cls, key: str) -> bool:
        """Whether less of a metric is better: ``'FA.broken'``."""
        return key.rpartition('/')[2].partition('.')[0] in cls._less_metrics

    def folder(self, work_dir: str | Path) -> Path:
        """Where the checkpoints of a run with this work folder are; of a run on the local disk."""
        given = self._given_out_dir
        return Path(given or '', Path(work_dir).name if given else work_dir, self.subfolder)

    def before_train(self, runner: Runner) -> None:
        """Resolve the folder of the checkpoints, and listen for SIGINT, SIGTERM and SIGHUP.

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
        if self.by_epoch:
            runner.logger.info(
                'this training counts epochs: stopped by a signal, it continues from the end of the last epoch'
            )
            return
        if is_distributed():
            self._group = host_group(
                runner.logger, 'a signal ends this training at once, without a checkpoint'
            )
        if self._group is not None or not is_distributed():
            self._listener.start(insists=is_distributed())

    def _surplus_steps(self, runner: Runner) -> list[int]:
        """Steps of a resumed run that ``max_keep_ckpts`` drops; mmengine looks for them outside the subfolder."""
        if self.max_keep_ckpts <= 0 or 'keep_ckpt_ids' not in runner.message_hub.runtime_info:
            return []
        return list(runner.message_hub.get_info('keep_ckpt_ids'))[: -self.max_keep_ckpts]

    def _remove(self, steps: list[int]) -> None:
        for step in filter(None, steps) if is_main_process() else []:
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Save where it is due; after a stop signal save and exit.

        Raises:
            SystemExit: a process of the run received SIGINT, SIGTERM or SIGHUP; the code is 128 + the signal.
        """
        super().after_train_iter(runner, *args, **kwargs)
        if self._stops():
            self._save_and_exit(runner, runner.iter + 1)

    def after_val_iter(self, runner: Runner, *args, **kwargs) -> None:
        """After a stop signal save and exit; the resumed run repeats the validation.

        Raises:
            SystemExit: as of :meth:`after_train_iter`.
        """
        loop = runner._train_loop
        if self._group is not None or self._listener.received is None or not isinstance(loop, BaseLoop):
            return  # a distributed run stops after its next iteration
        runner.message_hub.update_info('last_validated_iter', 0)
        loop._iter -= 1  # mmengine saves within an iteration and counts it as done
        self._save_and_exit(runner, runner.iter + 1)

    def _stops(self) -> bool:
        """Whether the run was told to stop; every process of it gets the same answer."""
        if self._group is None:
            return self._listener.received is not None
        number = torch.tensor(int(self._listener.received or 0))
        torch.distributed.all_reduce(number, torch.distributed.ReduceOp.MAX, group=self._group)
        if number:  # else a signal that came while the others were asked counts in the next iteration
            self._listener.received = signal.Signals(int(number))
        return bool(number)

    def _save_checkpoint(self, runner: Runner) -> None:
        """As mmengine's; the checkpoint that the last stop signal had saved is not needed after this one."""
        super()._save_checkpoint(runner)
        self._remove([runner.message_hub.runtime_info.get(_STOPPED_AT, 0)])
        runner.message_hub.update_info(_STOPPED_AT, 0)

    def _save_and_exit(self, runner: Runner, step: int) -> None:
        if Path(self.last_ckpt or '').name != self.filename_tmpl.format(step):
            before = runner.message_hub.runtime_info.get(_STOPPED_AT, 0)
            runner.message_hub.update_info(_STOPPED_AT, step)
            self.max_keep_ckpts = -1  # it replaces none that a run without a signal would keep
            super()._save_checkpoint(runner)
            self._remove([before])
        if self._group is not None:
            torch.distributed.barrier(self._group)  # the launcher ends the others as soon as one has ended
        received = self._listener.received
        runner.logger.warning(f'{received.name}: saved {self.last_ckpt}; --resume continues from there')
        raise SystemExit(128 + received)

    def after_train(self, runner: Runner) -> None:
        """As mmengine's; from here on a signal ends the process at once."""
        self._listener.stop()
        super().after_train(runner)
