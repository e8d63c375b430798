# ruff: noqa: NPY002 - the global state is what a worker seeds
"""``RandomResizedWindow`` against ``RandomResize`` and ``RandomCrop``."""

import cv2
import numpy as np
import pytest

from mmseg.datasets.transforms import RandomCrop, RandomResize, RandomResizedWindow
from mmseg.datasets.transforms.window import window

CROP = dict(crop_size=(48, 40), cat_max_ratio=0.75)


def results_of(seed, size=(60, 80)):
    """A smooth image, and labels with a few pixels of two classes, or half of one class."""
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.integers(0, 256, (*size, 3), dtype=np.uint8), (0, 0), 4)
    label = np.zeros(size, np.uint8)
    label[20:24, 30:33], label[50:52, 60:70] = 1, 2
    if seed % 2:
        label[:, : size[1] // 2] = 1
    return dict(img=image, gt_seg_map=label, seg_fields=['gt_seg_map'])


def both(seed, resize, crop=CROP, size=(60, 80)):
    """Results of the two transforms, of the one, and the state of the random numbers after each."""
    made = []
    for transforms in (RandomResize(**resize), RandomCrop(**crop)), (RandomResizedWindow(resize, crop),):
        np.random.seed(seed)
        results = results_of(seed, size)
        for transform in transforms:
            results = transform(results)
        made.append((results, np.random.random()))
    return made


@pytest.mark.parametrize(
    'resize',
    [
        dict(scale=(80, 60), ratio_range=(0.5, 3.0), keep_ratio=True),
        dict(scale=(70, 70), ratio_range=(0.5, 2.0)),
        dict(scale=[(60, 50), (200, 180)], keep_ratio=False, interpolation='bicubic'),
    ],
)
def test_the_same_windows_moved_by_a_pixel_at_most(resize):
    classes, shifted, redrawn = [0, 0], [], 0
    for seed in range(60):
        (expected, number), (results, same_number) = both(seed, resize)
        if number != same_number:  # a window at the limit of cat_max_ratio was refused by one alone
            redrawn += 1
            continue
        for key in ('scale', 'scale_factor', 'keep_ratio', 'img_shape'):
            assert results[key] == expected[key], key
        assert results['img'].shape == expected['img'].shape and results['img'].dtype == np.uint8
        assert results['gt_seg_map'].shape == expected['gt_seg_map'].shape
        # a pixel beside lies between its neighbours
        lowest, highest = (function(expected['img'], np.ones((3, 3))) for function in (cv2.erode, cv2.dilate))
        inside = np.s_[1:-1, 1:-1]
        assert (results['img'][inside] >= lowest[inside] - 2.0).all()
        assert (results['img'][inside] <= highest[inside] + 2.0).all()
        shifted.append(np.abs(results['img'].astype(int) - expected['img']).mean())
        for labelled, of in enumerate((expected, results)):
            classes[labelled] += np.count_nonzero(of['gt_seg_map'])
    assert redrawn <= 6
    assert np.mean(shifted) < 2
    assert classes[1] == pytest.approx(classes[0], rel=0.02)


def test_unresized_and_whole_images_are_the_same_to_the_bit():
    for scale in ((80, 60), (50, 38)):
        for seed in range(8):
            (expected, _), (results, _) = both(
                seed, dict(scale=scale, ratio_range=(1.0, 1.0), keep_ratio=True), dict(crop_size=(64, 64))
            )
            assert np.array_equal(results['img'], expected['img'])
            assert np.array_equal(results['gt_seg_map'], expected['gt_seg_map'])


def test_image_and_labels_are_moved_alike():
    image = np.zeros((60, 80), np.uint8)
    image[20:31, 30:47] = 255
    for top, left in np.random.default_rng(0).integers(0, 80, (40, 2)):
        box = (top, top + 48, left, left + 40)
        resized = window(image, (137, 183), box, cv2.INTER_LINEAR)
        labels = window(image, (137, 183), box, cv2.INTER_NEAREST)
        assert (
            np.array_equal(resized > 127, labels > 127) or np.mean((resized > 127) != (labels > 127)) < 0.04
        )


@pytest.mark.parametrize('more', [dict(backend='pillow'), dict(resize_type='ResizeShortestEdge', max_size=9)])
def test_other_resizing_is_refused(more):
    with pytest.raises((ValueError, TypeError), match=r'RandomResizedWindow|scale'):
        RandomResizedWindow(dict(scale=(80, 60), ratio_range=(0.5, 2.0), **more), CROP)
