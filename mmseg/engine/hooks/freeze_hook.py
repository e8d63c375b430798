"""Norm layers that stay frozen while the rest of the model is trained."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmseg.registry import HOOKS


@HOOKS.register_module()
class FreezeHook(Hook):
    """Keeps the norm layers that ``frozen_layers`` of the config names in eval mode: they use their running statistics.

    It has an effect with :class:`mmseg.engine.SegRunner`, which freezes the parameters.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._norms: list = []

    def before_train(self, runner: Runner) -> None:
        """Find the layers, and log how much is frozen."""
        frozen = getattr(runner, 'frozen', None)
        if frozen is None:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._norms = frozen.norms(model)
        runner.logger.info(f'frozen: {frozen}; {len(self._norms)} norm layers keep their statistics')

    def before_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Put the layers into eval mode, which ``model.train()`` of the loop has ended."""
        for norm in self._norms:
            norm.eval()
