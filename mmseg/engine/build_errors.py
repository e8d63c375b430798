"""What a runner builds when a run begins; errors name the config and the part of it."""

from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop

from mmseg.utils.config_errors import config_errors


class NamedConfigErrors:
    """Mixin of a mmengine runner: errors of its ``build_…`` methods are ``ConfigError``."""

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """mmengine's method; an error of the config is a ``ConfigError``."""
        with config_errors(self._config_name, 'built: train_dataloader or train_cfg', self.cfg):
            return super().build_train_loop(loop)

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """As :meth:`build_train_loop`."""
        with config_errors(self._config_name, 'built: val_dataloader or val_evaluator', self.cfg):
            return super().build_val_loop(loop)

    def build_test_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """As :meth:`build_train_loop`."""
        with config_errors(self._config_name, 'built: test_dataloader or test_evaluator', self.cfg):
            return super().build_test_loop(loop)

    def build_optim_wrapper(self, optim_wrapper: OptimWrapper | dict) -> OptimWrapper:
        """As :meth:`build_train_loop`."""
        with config_errors(self._config_name, 'built: optim_wrapper', self.cfg, names_values=True):
            return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, scheduler: object) -> object:
        """As :meth:`build_train_loop`."""
        with config_errors(self._config_name, 'built: param_scheduler', self.cfg, names_values=True):
            return super().build_param_scheduler(scheduler)

    @property
    def _config_name(self) -> str:
        return str(self.cfg.filename or 'the config')
