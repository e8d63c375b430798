"""Children of mmengine's registries in the scope ``mmseg``.

A name is looked up here first, then in mmengine. ``locations`` are the modules that the first lookup
imports, so that a config needs no imports.
"""

from importlib.util import find_spec

from mmengine import registry as root
from mmengine.registry import Registry

_MODEL_LOCATIONS = ['mmseg.models']
_ENGINE_LOCATIONS = ['mmseg.engine']


#: Packages whose backbones mmsegmentation's configs name, as ``mmpretrain.ConvNeXt``.
BACKBONE_PACKAGES = ('mmpretrain', 'mmcls')


class ModelRegistry(Registry):
    """A registry in which names of a backbone package that is not installed stand for the classes here."""

    def get(self, key: str) -> type | None:
        """The class of a name, as mmengine's registry finds it."""
        scope, name = self.split_scope_key(key)
        if scope in BACKBONE_PACKAGES and find_spec(scope) is None:
            self.import_from_location()
            key = name if name in self._module_dict else key
        return super().get(key)


def _child(name: str, parent: Registry, locations: list[str]) -> Registry:
    return Registry(name, parent=parent, scope='mmseg', locations=locations)


RUNNERS = _child('runner', root.RUNNERS, _ENGINE_LOCATIONS)
RUNNER_CONSTRUCTORS = _child('runner constructor', root.RUNNER_CONSTRUCTORS, _ENGINE_LOCATIONS)
LOOPS = _child('loop', root.LOOPS, _ENGINE_LOCATIONS)
HOOKS = _child('hook', root.HOOKS, _ENGINE_LOCATIONS)
LOG_PROCESSORS = _child('log processor', root.LOG_PROCESSORS, _ENGINE_LOCATIONS)
OPTIMIZERS = _child('optimizer', root.OPTIMIZERS, _ENGINE_LOCATIONS)
OPTIM_WRAPPERS = _child('optim wrapper', root.OPTIM_WRAPPERS, _ENGINE_LOCATIONS)
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimizer constructor', root.OPTIM_WRAPPER_CONSTRUCTORS, _ENGINE_LOCATIONS
)
PARAM_SCHEDULERS = _child('parameter scheduler', root.PARAM_SCHEDULERS, _ENGINE_LOCATIONS)

DATASETS = _child('dataset', root.DATASETS, ['mmseg.datasets'])
DATA_SAMPLERS = _child('data sampler', root.DATA_SAMPLERS, ['mmseg.datasets'])
TRANSFORMS = _child('transform', root.TRANSFORMS, ['mmseg.datasets'])

MODELS = ModelRegistry('model', parent=root.MODELS, scope='mmseg', locations=_MODEL_LOCATIONS)
MODEL_WRAPPERS = _child('model wrapper', root.MODEL_WRAPPERS, _MODEL_LOCATIONS)
WEIGHT_INITIALIZERS = _child('weight initializer', root.WEIGHT_INITIALIZERS, _MODEL_LOCATIONS)
TASK_UTILS = _child('task util', root.TASK_UTILS, _MODEL_LOCATIONS)

METRICS = _child('metric', root.METRICS, ['mmseg.evaluation'])
EVALUATOR = _child('evaluator', root.EVALUATOR, ['mmseg.evaluation'])

VISUALIZERS = _child('visualizer', root.VISUALIZERS, ['mmseg.visualization.local_visualizer'])
VISBACKENDS = _child('visualizer backend', root.VISBACKENDS, ['mmseg.visualization.wandb_backend'])
INFERENCERS = _child('inferencer', root.INFERENCERS, ['mmseg.apis'])
