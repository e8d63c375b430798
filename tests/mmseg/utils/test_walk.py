"""Generators over nested configs and datasets."""

from types import SimpleNamespace

from mmseg.utils.walk import config_dicts, dataset_configs, leaf_datasets


def test_config_dicts_come_outer_first():
    config = dict(name='a', parts=[dict(name='b', inner=dict(name='c')), 3], pair=(dict(name='d'),))
    assert [node['name'] for node in config_dicts(config)] == ['a', 'b', 'c', 'd']


def test_dataset_configs_look_into_wrappers():
    leaves = [dict(type='WTADataset', data_root=root) for root in 'abc']
    concat = dict(type='ConcatDataset', datasets=[leaves[0], dict(type='RepeatDataset', dataset=leaves[1])])
    assert [cfg.get('data_root') for cfg in dataset_configs(concat)] == [None, 'a', None, 'b']
    assert list(dataset_configs(leaves[2])) == [leaves[2]]
    for cfg in dataset_configs(wrapper := dict(dataset=dict(leaves[2]))):
        if 'data_root' in cfg:
            cfg['data_root'] = 'moved'
    assert wrapper['dataset']['data_root'] == 'moved'


def test_leaf_datasets_are_given_once():
    a, b, c = (SimpleNamespace(name=name) for name in 'abc')
    repeated = SimpleNamespace(dataset=SimpleNamespace(datasets=[b, c]))
    assert list(leaf_datasets(SimpleNamespace(datasets=[a, repeated]))) == [a, b, c]
