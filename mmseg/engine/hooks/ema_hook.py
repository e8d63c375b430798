"""mmengine's moving average of the weights, made exact where a run is stopped, tested or resumed."""

from mmengine.hooks import EMAHook as _EMAHook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner

from mmseg.registry import HOOKS, MODELS

AVERAGE = 'ema_state_dict'


@HOOKS.register_module()
class EMAHook(_EMAHook):
    """Averages the weights; validations, checkpoints and whatever loads these use the average.

    A checkpoint holds the average as ``state_dict`` and the weights of the training as ``ema_state_dict``, from which
    a resumed run continues exactly. Differences from mmengine's hook:

    - With gradient accumulation the average is updated once for each update of the weights.
    - A checkpoint saved during a validation (after a stop signal) holds the same as any other.
    - A test of a checkpoint does not touch the loaded weights, which are the average; mmengine's hook replaces those of
      a model with test-time augmentation by random ones.
    - A test after a training in the same process tests the average of this training.
    - Tensors in checkpoints are on the CPU.

    Args: those of mmengine's hook. ``ema_type='WarmUpEMA'`` is :class:`mmseg.engine.weight_average.WarmUpEMA`.
    """

    ema_model = None
    _swapped = False

    def before_run(self, runner: Runner) -> None:
        """Copy the model, where a training begins."""
        if self.ema_model is None and isinstance(runner._train_loop, BaseLoop):
            self.src_model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            self.ema_model = MODELS.build(self.ema_cfg, default_args=dict(model=self.src_model))

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Update the average, if this iteration has updated the weights."""
        if getattr(runner.optim_wrapper, 'should_update', lambda: True)():
            super().after_train_iter(runner, *args, **kwargs)

    def before_val_epoch(self, runner: Runner) -> None:
        """Put the average into the model."""
        self._use_average(True)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put the weights of the training back."""
        self._use_average(False)

    def before_test_epoch(self, runner: Runner) -> None:
        """Put the average of a training in this process into the model; loaded weights stay."""
        self._use_average(True)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put the weights of the training back."""
        self._use_average(False)

    def _use_average(self, use: bool) -> None:
        if self.ema_model is None or use == self._swapped:
            return
        if use:
            self._copy_buffers()
        current, average = self.src_model.state_dict(), self.ema_model.module.state_dict()
        for key, value in average.items():
            before = value.clone()
            value.copy_(current[key])
            current[key].copy_(before)
        self._swapped = use

    def _copy_buffers(self) -> None:
        """Where buffers are not averaged, those of the model, which change in every iteration."""
        if self.ema_model.update_buffers:
            return
        current = dict(self.src_model.named_buffers())
        for name, value in self.ema_model.module.named_buffers():
            value.copy_(current[name])

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Store the average as the weights, and the weights of the training beside it."""
        if self.ema_model is None:
            return
        if not self._swapped:
            self._copy_buffers()
        checkpoint[AVERAGE] = {key: value.cpu() for key, value in self.ema_model.state_dict().items()}
        if not self._swapped:
            self._swap_ema_state_dict(checkpoint)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take up the average of a resumed run."""
        if self.ema_model is None:
            return
        if not runner._resume:
            if self.ema_model.steps > 0:
                self.ema_model = None  # other weights replace those of the training
        elif AVERAGE in checkpoint:
            self._swap_ema_state_dict(checkpoint)
            self.ema_model.load_state_dict(checkpoint[AVERAGE], strict=self.strict_load)
        else:
            runner.logger.warning(
                'EMAHook: the checkpoint has no averaged weights; the average begins with the resumed ones'
            )


def check_average(runner: Runner, checkpoint: dict, name: str) -> None:
    """Refuse to resume, without averaging, a training that averaged its weights.

    Raises:
        ValueError: the runner has no ``EMAHook``; its weights would be the average, its optimizer state would not fit.
    """
    if AVERAGE in checkpoint and not any(isinstance(hook, _EMAHook) for hook in runner.hooks):
        raise ValueError(
            f'{name}: its training averaged the weights, this one does not; expected the same settings: '
            'add --ema, or the EMAHook of its config'
        )
