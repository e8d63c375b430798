# ruff: noqa: NPY002 - the transforms draw from this state
"""Several images at once: mixing, copy-paste, and drawing images by their classes."""

import cv2
import numpy as np
import pytest

from mmseg.datasets import ConcatDataset, CopyPasteDefects, MultiImageMixDataset, RareClassDataset, WTADataset
from mmseg.datasets.dataset_wrappers import class_counts, rare_class_probs

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]


@pytest.fixture
def root(tmp_path):
    """Ten images of 48 x 48 on grey 100 + i: 'attached' in 3 and 4, 'broken' in 7 alone, golden and white."""
    for kind in ('img_dir', 'ann_dir'):
        (tmp_path / kind).mkdir()
    for i in range(10):
        img, labels = np.full((48, 48, 3), 100 + i, np.uint8), np.zeros((48, 48), np.uint8)
        if i in (3, 4):
            img[10:16, 20:30], labels[10:16, 20:30] = (0, 180, 230), 1
        if i == 7:
            img[30:33, 5:40], labels[30:33, 5:40] = 250, 2
        cv2.imwrite(str(tmp_path / f'img_dir/{i}.png'), img)
        cv2.imwrite(str(tmp_path / f'ann_dir/{i}.png'), labels)
    return tmp_path


def dataset(root, pipeline=LOAD, **kwargs):
    prefix = dict(img_path='img_dir', seg_map_path='ann_dir')
    return WTADataset(data_root=str(root), data_prefix=prefix, pipeline=pipeline, **kwargs)


def test_mosaic_through_the_mix_dataset(root):
    mix = MultiImageMixDataset(dataset(root), [dict(type='RandomMosaic', prob=1.0, img_scale=(48, 48))])
    np.random.seed(0)
    results = mix[3]
    assert len(mix) == 10
    assert mix.metainfo['classes'] == WTADataset.METAINFO['classes']
    assert results['img'].shape == (96, 96, 3)
    assert results['gt_seg_map'].shape == (96, 96)
    assert 'mix_results' not in results
    greys = set(np.unique(results['img'][results['gt_seg_map'] == 0]))
    assert 103 in greys and len(greys) >= 3  # the item itself and others
    assert set(np.unique(results['img'][results['gt_seg_map'] == 255])) <= {0}  # padding
    mix.update_skip_type_keys(['RandomMosaic'])
    assert mix[3]['img'].shape == (48, 48, 3)


def test_copy_paste_pastes_whole_components_on_suitable_positions(root):
    paste = CopyPasteDefects(prob=1.0, max_components=3)
    base = dataset(root)
    pasted = {1: 0, 2: 0}
    for seed in range(30):
        np.random.seed(seed)
        target = base[3]
        img, labels = target['img'].copy(), target['gt_seg_map'].copy()
        indices = paste.get_indices(base)
        assert set(indices) <= {3, 4, 7}
        results = paste(dict(target, mix_results=[base[i] for i in indices]))
        new = results['gt_seg_map'] != labels
        assert (labels[new] == 0).all()  # never over another defect
        for label in pasted:
            where = new & (results['gt_seg_map'] == label)
            pasted[label] += where.any()
            if where.any():  # the defect's own colour lies under its label
                colour = (0, 180, 230) if label == 1 else (250, 250, 250)
                difference = np.abs(np.median(results['img'][where], axis=0) - colour)
                assert difference.max() < 40
        far = ~cv2.dilate(new.astype(np.uint8), np.ones((7, 7))).astype(bool)
        np.testing.assert_array_equal(results['img'][far], img[far])
    assert min(pasted.values()) >= 5


def test_copy_paste_avoids_positions_of_another_brightness(root):
    base = dataset(root)
    white = dict(img=np.full((48, 48, 3), 255, np.uint8), gt_seg_map=np.zeros((48, 48), np.uint8))
    np.random.seed(0)
    untouched = CopyPasteDefects(prob=1.0)(dict(white, mix_results=[base[3]]))
    assert not untouched['gt_seg_map'].any()
    forced = CopyPasteDefects(prob=1.0, max_difference=255)(dict(white, mix_results=[base[3]]))
    assert forced['gt_seg_map'].any()


def test_copy_paste_probability_and_missing_classes(root):
    base = dataset(root)
    paste = CopyPasteDefects(prob=0.25, num_sources=2)
    np.random.seed(0)
    draws = [paste.get_indices(base) for _ in range(200)]
    assert 30 <= sum(map(bool, draws)) <= 70  # 50 expected, 3 standard deviations are 18
    assert {len(draw) for draw in draws} == {0, 2}
    with pytest.raises(ValueError, match='no image of the dataset contains one of the classes'):
        CopyPasteDefects(classes=(1,)).prepare(dataset(root, indices=[0, 1]))


def test_rare_classes_are_drawn_and_cropped_around(root):
    pipeline = [*LOAD, dict(type='RareClassCrop', crop_size=(16, 16))]
    rare = RareClassDataset(dataset(root, pipeline), prob=1.0)
    np.random.seed(0)
    items = [rare[0] for _ in range(60)]
    assert {item['sample_idx'] for item in items} == {3, 4, 7}
    for item in items:
        assert (item['gt_seg_map'] == item['rare_class']).any()
    np.random.seed(0)
    assert [rare[0]['sample_idx'] for _ in range(5)] == [item['sample_idx'] for item in items[:5]]
    assert RareClassDataset(dataset(root, pipeline), prob=0.0)[6]['sample_idx'] == 6


def test_rare_class_probabilities_follow_the_formula(root):
    # 2 * 60 pixels attached, 105 broken of 10 * 48 * 48 = 23040.
    counts = class_counts(ConcatDataset([dataset(root), dataset(root)]))
    assert counts.shape == (20, 3)
    assert counts.sum(0).tolist() == [2 * (23040 - 225), 240, 210]
    shares = np.array([23040 - 225, 120, 105]) / 23040
    expected = np.exp((1 - shares) / 0.5)
    np.testing.assert_allclose(rare_class_probs(counts, 0.5), expected / expected.sum())
    with pytest.raises(ValueError, match='temperature=0'):
        RareClassDataset(dataset(root), temperature=0)
