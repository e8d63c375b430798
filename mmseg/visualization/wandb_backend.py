"""Recording runs with Weights & Biases."""

from mmengine import visualization
from mmengine.config import Config

from mmseg.registry import VISBACKENDS

#: The axis of all charts.
ITERATION = 'iter'


@VISBACKENDS.register_module()
class WandbVisBackend(visualization.WandbVisBackend):
    """mmengine's ``WandbVisBackend`` with losses and metrics over the iteration, also those of a resumed run.

    mmengine's counts calls in place of iterations, and always uploads every Python file below the current folder.

    Args:
        log_code_name: name of the artifact with every Python file below the current folder; None: no file is uploaded.
        **kwargs: mmengine's arguments.

    Raises:
        ValueError: Weights & Biases can not be used, for one because nobody is logged in.
    """

    def _init_env(self) -> None:
        from wandb import errors

        try:
            super()._init_env()
        except errors.Error as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f'Weights & Biases can not record the run ({reason}); log in with "wandb login", or set '
                'WANDB_MODE=offline and upload the run later with "wandb sync"'
            ) from error
        if self._define_metric_cfg is None:
            self._wandb.define_metric('*', step_metric=ITERATION)

    def add_config(self, config: Config, **kwargs) -> None:
        """Record the config of the run."""
        if self._log_code_name is not None:
            super().add_config(config, **kwargs)
        else:
            change = (self._init_kwargs or {}).get('allow_val_change', False)
            self.experiment.config.update(config.to_dict(), allow_val_change=change)

    def add_scalar(self, name: str, value: float, step: int = 0, **kwargs) -> None:
        """Record a value at iteration ``step``."""
        super().add_scalars({name: value, ITERATION: step})

    def add_scalars(self, scalar_dict: dict, step: int = 0, file_path: str | None = None, **kwargs) -> None:
        """Record values at iteration ``step``."""
        super().add_scalars({**scalar_dict, ITERATION: step})
