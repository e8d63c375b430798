"""The public data sets and the files of ``configs/_base_`` against mmsegmentation 1.2.2.

``tests/parity/public_datasets.json`` holds what it has: counts, file endings, and CRC-32 of names, colours and configs.
"""

import json
import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

import mmseg.datasets
from mmseg.registry import DATASETS
from mmseg.utils import dataset_aliases, get_classes, get_palette
from mmseg.utils.public_datasets import public_datasets

ROOT = Path(__file__).parents[3]
RECORDED = json.loads((ROOT / 'tests' / 'parity' / 'public_datasets.json').read_text())


def crc(value):
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def plain(node):
    """A config without what has no effect: the default file backend, and a label rule that is the default."""
    if isinstance(node, dict):
        items = ((key, plain(value)) for key, value in node.items())
        return {
            key: value
            for key, value in items
            if key != 'backend_args' and (key, value) != ('reduce_zero_label', False)
        }
    return [plain(value) for value in node] if isinstance(node, (list, tuple)) else node


@pytest.mark.parametrize('name', RECORDED['datasets'])
def test_dataset_class_is_the_recorded_one(name):
    expected = dict(RECORDED['datasets'][name])
    dataset = DATASETS.build(dict(type=name, lazy_init=True))
    classes, palette = list(dataset.metainfo['classes']), [list(c) for c in dataset.metainfo['palette']]
    assert (len(classes), crc([classes, palette])) == (expected.pop('classes'), expected.pop('crc'))
    assert {key: getattr(dataset, key) for key in expected} == expected
    assert (get_classes(name), get_palette(name)) == (classes, palette)
    assert type(pickle.loads(pickle.dumps(dataset))) is getattr(mmseg.datasets, name)


def test_the_table_has_no_other_data_set():
    assert set(public_datasets()) == set(RECORDED['datasets'])


@pytest.mark.parametrize('name', RECORDED['configs'])
def test_base_file_is_the_recorded_one(name):
    cfg = Config.fromfile(ROOT / 'configs' / '_base_' / f'{name}.py')._cfg_dict.to_dict()
    assert {key: crc(plain(cfg.get(key))) for key in RECORDED['configs'][name]} == RECORDED['configs'][name]


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'configs/_base_/datasets').glob('*.py')), ids=lambda p: p.stem
)
def test_every_split_of_a_base_file_is_built(path):
    cfg = Config.fromfile(path)
    for split in ('val', 'test'):
        config = cfg[f'{split}_dataloader'].dataset
        dataset = DATASETS.build(dict(config, lazy_init=True))
        assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) >= 2


def test_aliases_are_those_of_mmsegmentation_and_more():
    for name, classes in (
        ('ade', 150),
        ('VOC2010', 59),
        ('coco-stuff10k', 171),
        ('iSAID', 16),
        ('mapillary_v2', 124),
    ):
        assert len(get_classes(name)) == len(get_palette(name)) == classes
    assert get_classes('LIP')[14:16] == [
        'Left-arm',
        'Right-arm',
    ]  # mmsegmentation's palette of LIP is its names
    every = [alias.lower() for aliases in dataset_aliases.values() for alias in set(map(str.lower, aliases))]
    assert len(every) == len(set(every))


def test_a_folder_in_the_layout_of_cityscapes_is_read(tmp_path):
    for folder, ending in (('leftImg8bit/val/a', 'leftImg8bit'), ('gtFine/val/a', 'gtFine_labelTrainIds')):
        (tmp_path / folder).mkdir(parents=True)
        shape = (4, 6, 3) if ending == 'leftImg8bit' else (4, 6)
        Image.fromarray(np.full(shape, 18, np.uint8)).save(tmp_path / folder / f'a_0_{ending}.png')
    # other files of the data set
    (tmp_path / 'gtFine/val/a/a_0_gtFine_color.png').touch()
    cfg = Config.fromfile(ROOT / 'configs/_base_/datasets/cityscapes.py').val_dataloader.dataset
    dataset = DATASETS.build({**cfg, 'data_root': str(tmp_path)})
    item = dataset[0]
    assert len(dataset) == 1 and item['data_samples'].gt_sem_seg.data.unique().tolist() == [18]
