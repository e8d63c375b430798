"""Helpers for configs, environment, files and batches."""

from .class_names import dataset_aliases, get_classes, get_palette
from .collect_env import collect_env
from .misc import add_prefix, stack_batch
from .set_env import register_all_modules
from .typing_utils import (
    ConfigType,
    ForwardResults,
    MultiConfig,
    OptConfigType,
    OptMultiConfig,
    OptSampleList,
    SampleList,
    TensorDict,
    TensorList,
)

__all__ = [
    'ConfigType',
    'ForwardResults',
    'MultiConfig',
    'OptConfigType',
    'OptMultiConfig',
    'OptSampleList',
    'SampleList',
    'TensorDict',
    'TensorList',
    'add_prefix',
    'collect_env',
    'dataset_aliases',
    'get_classes',
    'get_palette',
    'register_all_modules',
    'stack_batch',
]
