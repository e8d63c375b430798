"""Why a training step can not be captured, as far as that is known before it runs."""

from collections.abc import Mapping

from mmengine.hooks import Hook
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import optim

_IN_EACH_ITERATION = ('before_train_iter', 'after_train_iter')
# of torch.compile
_CAPTURING_MODES = ('reduce-overhead', 'max-autotune')
#: Hooks of these packages do not change what a step computes, beyond what :mod:`.guard` watches.
_KNOWN_PACKAGES = ('mmengine', 'mmseg', 'wtaseg', 'augment')


def obstacle(runner: Runner) -> str | None:
    """The reason why the step of a runner can't be captured, or None."""
    wrapped = is_model_wrapper(runner.model)
    return (
        of_model(runner.model.module if wrapped else runner.model, runner.cfg.get('compile'))
        or of_optimizer(runner.optim_wrapper)
        or _of_schedulers(runner)
        or _of_hooks(runner)
        or (f'{type(runner.model).__name__} exchanges gradients itself' if wrapped else None)
    )


def of_model(model: BaseModel, compile_options: Mapping | bool | None = None) -> str | None:
    """The reason that lies in the model, or in ``compile`` of the config; None: there is none."""
    name = type(model).__name__
    if not getattr(model, '_trains_on_tensors', False):
        return f'the loss of {name} takes samples, not tensors'
    if type(model).train_step is not BaseModel.train_step:
        return f'{name} has a train_step of its own'
    options = compile_options if isinstance(compile_options, Mapping) else {}
    mode = options.get('mode')
    if mode in _CAPTURING_MODES:
        return f'compile.mode={mode!r} captures graphs itself'
    if options.get('target', 'loss_tensors') != 'loss_tensors':
        return f'compile.target={options["target"]!r}; expected loss_tensors'
    return None


def of_optimizer(wrapper: OptimWrapper) -> str | None:
    """The reason that lies in the optimizer; None: there is none."""
    if type(wrapper) is not OptimWrapper:
        return f'{type(wrapper).__name__} updates the weights itself'
    optimizer = wrapper.optimizer
    if not isinstance(optimizer, optim.SGD) and 'capturable' not in optimizer.defaults:
        return f'{type(optimizer).__name__} has no capturable step'
    if any(not isinstance(group['lr'], int | float) for group in optimizer.param_groups):
        return 'a learning rate is a tensor'
    if wrapper.clip_grad_kwargs and wrapper.clip_grad_kwargs.get('error_if_nonfinite'):
        return 'clip_grad.error_if_nonfinite=True reads the norm in each step'
    return None


def _of_schedulers(runner: Runner) -> str | None:
    schedulers = runner.param_schedulers or []
    groups = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    for scheduler in (one for group in groups for one in group):
        if getattr(scheduler, 'param_name', 'lr') != 'lr':
            return f'{type(scheduler).__name__} changes {scheduler.param_name} in each step'
    return None


def _of_hooks(runner: Runner) -> str | None:
    for hook in runner.hooks:
        kind, capturable = type(hook), getattr(hook, 'capturable', None)
        if capturable is False:
            return f'{kind.__name__} does in each step what a CUDA graph can not'
        if capturable or kind.__module__.partition('.')[0] in _KNOWN_PACKAGES:
            continue
        for name in _IN_EACH_ITERATION:
            if getattr(kind, name) is not getattr(Hook, name):
                return f'{kind.__name__}.{name} may change the step; capturable = True in its class says that it does not'
    return None
