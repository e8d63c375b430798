"""Read config files, those of mmsegmentation included."""

from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from mmseg.registry.registry import BACKBONE_PACKAGES


def read_config(path: str | Path) -> Config:
    """``Config.fromfile``, which also reads configs that import a backbone package that is not installed.

    mmsegmentation's configs of ConvNeXt import ``mmpretrain.models`` and name ``mmpretrain.ConvNeXt``, which stands
    for :class:`mmseg.models.backbones.ConvNeXt` without that package.

    Raises:
        ImportError: another module of ``custom_imports`` can not be imported.
    """
    cfg = Config.fromfile(path, import_custom_modules=False)
    custom = cfg.get('custom_imports')
    if not custom:
        return cfg
    names = [custom.imports] if isinstance(custom.imports, str) else list(custom.imports)
    names = [name for name in names if not _replaced(name)]
    if not names:
        cfg.pop('custom_imports')
        return cfg
    cfg.custom_imports.imports = names
    try:
        import_modules_from_strings(**cfg.custom_imports)
    except ImportError as error:
        raise ImportError(
            f'custom_imports of {path}: {error}; expected modules that can be imported: add their folder to PYTHONPATH'
        ) from error
    return cfg


def _replaced(module: str) -> bool:
    package = module.partition('.')[0]
    return package in BACKBONE_PACKAGES and find_spec(package) is None
