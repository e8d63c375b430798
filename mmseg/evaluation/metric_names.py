"""Names of metrics that have changed; configs and logs with the old ones still work."""

import warnings
from collections.abc import Mapping
from typing import Any

from mmseg.utils.walk import config_dicts

#: Old name to new name. Class 0 of the WTA data is itself called "defect".
RENAMED = {'defect_mIoU': 'foreground_mIoU', 'defect_mAcc': 'foreground_mAcc'}
# settings of hooks and schedulers that name a metric
_SETTINGS = ('save_best', 'monitor')


def current_name(name: str) -> str:
    """The current name of a metric, also after a prefix: ``val/defect_mIoU`` is ``val/foreground_mIoU``."""
    prefix, slash, last = name.rpartition('/')
    return prefix + slash + RENAMED.get(last, last)


def with_current_names(record: Mapping[str, Any]) -> dict[str, Any]:
    """One line of a log, its metrics under their current names."""
    return {current_name(key): value for key, value in record.items()}


def rename_in_config(node: Any) -> None:
    """Replace old names of metrics in ``save_best`` and ``monitor`` of a part of a config; in place, with a warning."""
    for settings in config_dicts(node):
        for key in _SETTINGS:
            value = settings.get(key)
            names = value if isinstance(value, (list, tuple)) else [value]
            renamed = [current_name(name) if isinstance(name, str) else name for name in names]
            if renamed != list(names):
                settings[key] = renamed if isinstance(value, (list, tuple)) else renamed[0]
                warnings.warn(
                    f'{key}={value!r} is now {settings[key]!r}; change it in the config', stacklevel=3
                )
