"""mmengine's early stopping; a resumed run goes on counting."""

from mmengine.hooks import EarlyStoppingHook as _EarlyStoppingHook
from mmengine.runner import Runner

from mmseg.registry import HOOKS

from .checkpoint_hook import CheckpointHook

_STATE = 'early_stopping'


@HOOKS.register_module()
class EarlyStoppingHook(_EarlyStoppingHook):
    """Ends the training after ``patience`` validations without a better value of ``monitor``.

    mmengine's hook with three differences: ``rule`` follows from the names of all metrics of this package
    (``'IoU.broken'`` is better if greater); a metric that the validations do not have is an error (``strict=True``);
    the state is in the checkpoints.

    Args: those of mmengine's hook; ``monitor`` is the foreground mIoU by default, ``min_delta`` 0.01 percent points.

    Raises:
        ValueError: ``patience`` is below 1.
    """

    _default_greater_keys = [*_EarlyStoppingHook._default_greater_keys, *CheckpointHook._default_greater_keys]

    def _init_rule(self, monitor: str) -> str:
        return 'less' if CheckpointHook.is_less(monitor) else super()._init_rule(monitor)

    def __init__(
        self,
        monitor: str = 'foreground_mIoU',
        *args,
        min_delta: float = 0.01,
        strict: bool = True,
        patience: int = 5,
        **kwargs,
    ) -> None:
        if patience < 1:
            raise ValueError(
                f'EarlyStoppingHook: patience={patience}; expected a number of validations from 1'
            )
        super().__init__(monitor, *args, min_delta=min_delta, strict=strict, patience=patience, **kwargs)

    def before_train(self, runner: Runner) -> None:
        """Take up the state of the run that is resumed."""
        if runner.iter > 0 and _STATE in runner.message_hub.runtime_info:
            self.best_score, self.wait_count = runner.message_hub.get_info(_STATE)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Count, and stop the training where the count is full.

        Raises:
            ValueError: the validation has no metric ``monitor``.
        """
        if self.monitor not in (metrics or {}) and self.strict:
            raise ValueError(
                f'EarlyStoppingHook: monitor={self.monitor!r} is none of the metrics {", ".join(metrics or {})}'
            )
        super().after_val_epoch(runner, metrics)
        runner.message_hub.update_info(_STATE, [float(self.best_score), self.wait_count])
