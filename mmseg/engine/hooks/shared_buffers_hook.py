"""The statistics of the first process in every validation of several processes."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg.registry import HOOKS

from ..exchange import share_buffers


@HOOKS.register_module()
class SharedBuffersHook(Hook):
    """Gives every process the buffers of the first one before a validation or test; with one process it does nothing.

    Batch norms that are not synchronised have statistics of their own in each process. Checkpoints hold those of the
    first; with this hook a validation gives what a test of its checkpoint gives.
    """

    # after EMAHook, which puts averaged buffers into the model
    priority = 'LOWEST'

    def before_val_epoch(self, runner: Runner) -> None:
        """Share the buffers."""
        share_buffers(runner.model)

    def before_test_epoch(self, runner: Runner) -> None:
        """Share the buffers."""
        share_buffers(runner.model)
