"""Register all components of the package."""

import datetime
import importlib
import warnings

from mmengine import DefaultScope

_MODULES = (
    'datasets',
    'engine',
    'evaluation',
    'models',
    'structures',
    'visualization.local_visualizer',
    'visualization.wandb_backend',
    'apis',
)


def register_all_modules(init_default_scope: bool = True) -> None:
    """Import everything that registers a component.

    Args:
        init_default_scope: also make ``mmseg`` the default scope, in which names of components are looked up first.
    """
    for module in _MODULES:
        importlib.import_module(f'mmseg.{module}')
    if not init_default_scope:
        return
    current = DefaultScope.get_current_instance()
    if current is None or not DefaultScope.check_instance_created('mmseg'):
        if current is not None and current.scope_name != 'mmseg':
            _warn_of_other_scope(current.scope_name)
        DefaultScope.get_instance('mmseg', scope_name='mmseg')
    elif current.scope_name != 'mmseg':
        _warn_of_other_scope(current.scope_name)
        # every instance needs a name of its own; the latest is the current one
        DefaultScope.get_instance(f'mmseg-{datetime.datetime.now()}', scope_name='mmseg')


def _warn_of_other_scope(name: str) -> None:
    warnings.warn(
        f"the default scope was {name!r} and is now 'mmseg'; register_all_modules(init_default_scope=False) "
        'does not change it',
        stacklevel=3,
    )
