"""All components are registered under their names."""

import pytest
from mmengine import DefaultScope

from mmseg import registry
from mmseg.utils import get_classes, get_palette, register_all_modules


def test_register_all_modules():
    with DefaultScope.overwrite_default_scope('mmengine'), pytest.warns(UserWarning, match="is now 'mmseg'"):
        register_all_modules()
    register_all_modules()
    assert DefaultScope.get_current_instance().scope_name == 'mmseg'
    for group, name in (
        ('MODELS', 'EncoderDecoder'),
        ('DATASETS', 'WTADataset'),
        ('TRANSFORMS', 'PackSegInputs'),
        ('HOOKS', 'SegVisualizationHook'),
        ('METRICS', 'IoUMetric'),
        ('VISUALIZERS', 'SegLocalVisualizer'),
        ('INFERENCERS', 'MMSegInferencer'),
        ('LOOPS', 'IterBasedTrainLoop'),
        ('DATA_SAMPLERS', 'InfiniteSampler'),
        ('OPTIM_WRAPPERS', 'AmpOptimWrapper'),
        ('RUNNERS', 'SegRunner'),
    ):
        assert name in getattr(registry, group).module_dict


def test_class_names():
    assert get_classes('wta') == get_classes('WTADataset') == ['defect', 'attached', 'broken']
    assert get_palette('wta') == [[0, 0, 0], [255, 0, 0], [0, 255, 0]]
    # from the colour map of VOC's development kit
    assert dict(zip(get_classes('voc'), get_palette('voc')))['sheep'] == [128, 64, 0]
    assert len(get_classes('cityscapes')) == len(get_palette('cityscapes')) == 19
    with pytest.raises(ValueError, match="unknown dataset 'wtb'"):
        get_classes('wtb')
