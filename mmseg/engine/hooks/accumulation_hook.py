"""Gradient accumulation that a checkpoint between two updates does not interrupt."""

from mmengine.dist import is_distributed
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from mmseg.registry import HOOKS

GRADIENTS = 'accumulated_gradients'


@HOOKS.register_module()
class GradientAccumulationHook(Hook):
    """Stores accumulated gradients with a checkpoint, and restores them in a resumed run.

    It has an effect with ``optim_wrapper.accumulative_counts`` above 1 and in one process: gradients of several
    processes are summed when the weights are updated, so that a checkpoint in between does not have them.
    """

    def before_train(self, runner: Runner) -> None:
        """Tell the schedulers that their steps before the first update of the weights are meant."""
        wrapper = runner.optim_wrapper
        if counts_of(wrapper) > 1 and getattr(wrapper, '_global_step', 0) < 0:
            wrapper._global_step = 0  # of mmengine's schedulers, which warn while it is below 0

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the gradients, where the weights are not just updated."""
        wrapper = runner.optim_wrapper
        if not isinstance(wrapper, OptimWrapper) or wrapper.should_update():
            return
        if is_distributed():
            runner.logger.warning(
                f'a checkpoint between two updates of the weights (accumulative_counts={counts_of(wrapper)}) of several '
                'processes lacks the accumulated gradients: a resumed run begins with the next ones'
            )
            return
        gradients = {
            name: parameter.grad.cpu()
            for name, parameter in runner.model.named_parameters()
            if parameter.grad is not None
        }
        checkpoint[GRADIENTS] = dict(counts=counts_of(wrapper), gradients=gradients)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restore the gradients of a resumed run that accumulates as many as before."""
        stored = checkpoint.get(GRADIENTS)
        if not runner._resume or stored is None or is_model_wrapper(runner.model):
            return
        if stored['counts'] != counts_of(runner.optim_wrapper):
            runner.logger.warning(
                f'the gradients of {stored["counts"]} iterations were accumulated, now '
                f'{counts_of(runner.optim_wrapper)}: those of the iterations since the last update are dropped'
            )
            return
        for name, parameter in runner.model.named_parameters():
            if name in stored['gradients']:
                parameter.grad = stored['gradients'][name].to(parameter)


def counts_of(wrapper: OptimWrapper) -> int:
    """Over how many iterations an optimizer wrapper accumulates gradients."""
    return getattr(wrapper, '_accumulative_counts', 1)
