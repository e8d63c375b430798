"""``import mmseg`` changes nothing for other users of mmengine, mmcv and torch in the process."""

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys, types, warnings
warnings.simplefilter('ignore')
import mmcv, mmcv.cnn, mmcv.transforms, mmengine, torch, torch.serialization
import mmengine.fileio, mmengine.fileio.file_client, mmengine.hooks, mmengine.infer, mmengine.model, mmengine.runner
import mmengine.fileio.backends.registry_utils as backends
import mmcv.cnn.bricks.transformer
from mmengine.fileio import FileClient
from mmengine.runner.checkpoint import CheckpointLoader

PACKAGES = ('mmengine', 'mmcv', 'torch.serialization', 'torch._weights_only_unpickler')


def members(owner):
    return {name: id(value) for name, value in vars(owner).items() if not isinstance(value, types.ModuleType)}


def snapshot():
    state = {
        'checkpoint loaders': {scheme: id(loader) for scheme, loader in CheckpointLoader._schemes.items()},
        'safe globals': {repr(item): 0 for item in torch.serialization.get_safe_globals()},
        'file backends': {name: id(kind) for name, kind in backends.backends.items()},
        'file prefixes': {name: id(kind) for name, kind in backends.prefix_to_backends.items()},
        'file clients': {name: id(kind) for name, kind in FileClient._backends.items()},
        'client prefixes': {name: id(kind) for name, kind in FileClient._prefix_to_backends.items()},
        'determinism': {'algorithms': torch.are_deterministic_algorithms_enabled(), 'threads': torch.get_num_threads()},
    }
    for name, module in list(sys.modules.items()):
        if name.startswith(PACKAGES) and isinstance(module, types.ModuleType):
            state[name] = members(module)
            for key, value in vars(module).items():
                if isinstance(value, type) and value.__module__ == name:
                    state[f'{name}.{key}'] = members(value)
    return state


before = snapshot()
import mmseg
names = [module.name for module in pkgutil.walk_packages(mmseg.__path__, 'mmseg.')]
for name in names:
    importlib.import_module(name)
after = snapshot()
assert len(names) > 100, names
IGNORED = {'_abc_impl', '__annotations__', '__annotate_cache__', '__subclasshook__'}
for key, old in before.items():
    changed = {name for name in old.keys() | after[key].keys() if old.get(name) != after[key].get(name)}
    assert not changed - IGNORED, (key, changed)
print('unchanged')
"""


def test_import_changes_nothing_elsewhere():
    result = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.strip() == 'unchanged'
