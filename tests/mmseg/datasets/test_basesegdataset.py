# ruff: noqa: NPY002 - the transforms draw from this state
"""Listing, pairing, re-numbering and the errors of a dataset on disk."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmseg.datasets import BaseSegDataset, WTADataset
from mmseg.registry import DATASETS

CONFIGS = Path(__file__).parents[3] / 'configs' / '_base_' / 'datasets'
PREFIX = dict(img_path='img_dir/train', seg_map_path='ann_dir/train')


def write_dataset(root: Path, names=('a-1', 'a', 'sub/b'), size=32) -> Path:
    """Grey images with a 4 x 4 square of label 1 and one of label 2."""
    for split in ('train', 'val', 'test'):
        for number, name in enumerate(names):
            labels = np.zeros((size, size), np.uint8)
            labels[2:6, 2:6] = 1
            labels[20:24, 10:14] = 2
            for kind, array in (
                ('img_dir', np.full((size, size, 3), 50 + number, np.uint8)),
                ('ann_dir', labels),
            ):
                file = root / kind / split / f'{name}.png'
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), array)
    return root


@pytest.fixture
def root(tmp_path):
    return write_dataset(tmp_path)


class Letters(BaseSegDataset):
    METAINFO = dict(classes=('a', 'b', 'c'), palette=[[0, 0, 0], [255, 0, 0], [0, 255, 0]])


def test_pairs_images_and_labels_sorted_by_file_name(root):
    dataset = WTADataset(data_root=str(root), data_prefix=PREFIX)
    names = [Path(dataset.get_data_info(i)['img_path']).relative_to(root) for i in range(len(dataset))]
    # '-' sorts before '.', so the order is that of file names, not of stems.
    assert [str(name) for name in names] == [f'img_dir/train/{n}.png' for n in ('a-1', 'a', 'sub/b')]
    info = dataset.get_data_info(2)
    assert info == dict(
        img_path=str(root / 'img_dir/train/sub/b.png'),
        seg_map_path=str(root / 'ann_dir/train/sub/b.png'),
        label_map=None,
        reduce_zero_label=False,
        seg_fields=[],
        sample_idx=2,
    )


def test_list_file_and_indices_choose_items(root):
    (root / 'train.txt').write_text('sub/b\na\n\n')
    dataset = WTADataset(data_root=str(root), data_prefix=PREFIX, ann_file='train.txt')
    assert [Path(item['img_path']).stem for item in map(dataset.get_data_info, range(2))] == ['b', 'a']
    assert len(WTADataset(data_root=str(root), data_prefix=PREFIX, indices=2)) == 2


def test_no_label_folder_gives_no_label_path(root):
    info = WTADataset(data_prefix=dict(img_path=str(root / 'img_dir/train'))).get_data_info(0)
    assert 'seg_map_path' not in info


@pytest.mark.parametrize(
    ('classes', 'label_map', 'palette'),
    [
        (('c', 'a'), {0: 1, 1: 255, 2: 0}, [[0, 255, 0], [0, 0, 0]]),
        (('a', 'b'), {0: 0, 1: 1, 2: 255}, [[0, 0, 0], [255, 0, 0]]),
        (('a', 'b', 'c'), None, Letters.METAINFO['palette']),
    ],
)
def test_selected_classes_renumber_labels_and_palette(classes, label_map, palette):
    metainfo = Letters(metainfo=dict(classes=classes), lazy_init=True).metainfo
    assert metainfo['label_map'] == label_map
    assert metainfo['palette'] == palette


def test_missing_palette_is_reproducible_and_keeps_the_random_state():
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    palette = BaseSegDataset(metainfo=dict(classes=('x', 'y')), lazy_init=True).metainfo['palette']
    assert np.random.rand() == expected
    assert palette == [[102, 179, 92], [14, 106, 71]]  # seed 42, as upstream draws them


def test_wta_metainfo_and_unshifted_labels(root):
    with pytest.warns(UserWarning, match='never shifted'):
        dataset = WTADataset(reduce_zero_label=True, data_root=str(root), data_prefix=PREFIX)
    assert dataset.metainfo['classes'] == ('defect', 'attached', 'broken')
    assert dataset.metainfo['palette'] == [[0, 0, 0], [255, 0, 0], [0, 255, 0]]
    assert dataset.reduce_zero_label is False
    assert dataset.get_cat_ids(0) == [0, 1, 2]
    np.testing.assert_array_equal(dataset.class_counts(), [[32 * 32 - 32, 16, 16]] * 3)


def test_errors_name_what_is_missing_and_the_remedy(root):
    with pytest.raises(FileNotFoundError, match=r'img_dir/nowhere.*correct data_root / data_prefix'):
        WTADataset(data_root=str(root), data_prefix=dict(img_path='img_dir/nowhere'))
    with pytest.raises(FileNotFoundError, match=r'list\.txt.*one image name per line'):
        WTADataset(data_root=str(root), data_prefix=PREFIX, ann_file='list.txt')
    with pytest.raises(ValueError, match=r"img_suffix='\.jpg'; it contains 3 \.png"):
        WTADataset(data_root=str(root), data_prefix=PREFIX, img_suffix='.jpg')
    with pytest.raises(ValueError, match=r"not a subset.*\['z'\]"):
        Letters(metainfo=dict(classes=('a', 'z')), lazy_init=True)
    with pytest.raises(ValueError, match='palette has 1 colours for 3 classes'):
        Letters(metainfo=dict(palette=[[0, 0, 0]]), lazy_init=True)
    with pytest.raises(ValueError, match='no class names'):
        BaseSegDataset(test_mode=True, lazy_init=True)
    with pytest.warns(UserWarning, match='filter_cfg.*no effect'):
        WTADataset(filter_cfg=dict(min_size=3), lazy_init=True)


def test_class_counts_name_the_file_with_a_label_out_of_range(root):
    labels = np.zeros((32, 32), np.uint8)
    labels[0, 0] = 7
    cv2.imwrite(str(root / 'ann_dir/train/a.png'), labels)
    with pytest.raises(ValueError, match=r'ann_dir/train/a\.png holds the labels \[7\]'):
        WTADataset(data_root=str(root), data_prefix=PREFIX).class_counts()


@pytest.mark.parametrize(
    'name', [path.stem for path in sorted(CONFIGS.glob('*.py')) if path.stem.startswith(('wta', 'final'))]
)
def test_dataset_configs_build_and_give_samples(name, root):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    for split in ('train', 'test'):  # val is built like test
        dataset = leaf = cfg[f'{split}_dataloader'].dataset
        while 'dataset' in leaf:
            leaf = leaf.dataset
        assert leaf.data_root == cfg.data_root
        leaf.data_root = str(root)
        sample = DATASETS.build(dataset)[0]
        assert sample['inputs'].shape[0] == 3
        (scale,) = (step.scale for step in cfg.test_pipeline if step.type == 'Resize')
        largest = max(cfg.crop_size if split == 'train' else scale)
        assert max(sample['inputs'].shape[1:]) <= largest
        if split == 'train':
            assert sample['inputs'].shape[1:] == sample['data_samples'].gt_sem_seg.shape
    dataset.pipeline = cfg.tta_pipeline
    augmented = DATASETS.build(dataset)[0]
    assert len(augmented['inputs']) == 2 * len(cfg.img_ratios)
