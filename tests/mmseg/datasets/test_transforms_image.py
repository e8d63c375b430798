# ruff: noqa: NPY002 - the transforms draw from this state
"""Transforms of one image: geometry, colour, and the random state they draw from."""

import random
import sys

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mmseg.registry import TRANSFORMS


def build(type_, **kwargs):
    with DefaultScope.overwrite_default_scope('mmseg'):
        return TRANSFORMS.build(dict(type=type_, **kwargs))


def sample(seed=0, shape=(40, 60)):
    rng = np.random.RandomState(seed)
    labels = np.zeros(shape, np.uint8)
    labels[5:9, 7:12] = 1
    labels[20:30, 30:33] = 2
    labels[-3:] = 255
    return dict(
        img=rng.randint(0, 256, (*shape, 3)).astype(np.uint8),
        gt_seg_map=labels,
        gt_edge_map=labels.copy(),
        seg_fields=['gt_seg_map', 'gt_edge_map'],
        img_shape=shape,
    )


EVERY = [
    ('RandomCrop', dict(crop_size=(20, 30), cat_max_ratio=0.75)),
    ('RareClassCrop', dict(crop_size=(20, 30))),
    ('RandomFlip', dict(prob=0.5)),
    ('RandomFlip', dict(prob=[0.3, 0.3, 0.3], direction=['horizontal', 'vertical', 'diagonal'])),
    ('RandomRotate', dict(prob=0.8, degree=20.0)),
    ('RandomRotFlip', dict()),
    ('RandomResize', dict(scale=(64, 64), ratio_range=(0.5, 3.0), keep_ratio=True)),
    ('RandomChoiceResize', dict(scales=[(30, 20), (50, 60)])),
    ('Resize', dict(scale=(30, 30), keep_ratio=True)),
    ('ResizeToMultiple', dict(size_divisor=32)),
    ('ResizeShortestEdge', dict(scale=20, max_size=25)),
    ('PhotoMetricDistortion', dict()),
    ('RandomCutOut', dict(prob=0.9, n_holes=(1, 3), cutout_shape=[(9, 5), (4, 6)], seg_fill_in=255)),
    ('GenerateEdge', dict()),
    ('RGB2Gray', dict()),
    ('AdjustGamma', dict(gamma=2.0)),
    ('CLAHE', dict()),
    ('Rerange', dict()),
]


@pytest.mark.parametrize(('name', 'kwargs'), EVERY)
def test_contract_of_every_transform(name, kwargs):
    """Same state, same result; maps stay aligned, 8-bit and without invented labels."""
    outcomes = []
    for _ in range(2):
        transform = build(name, **kwargs)
        np.random.seed(5)
        random.seed(5)
        outcomes.append([transform(sample(seed)) for seed in range(6)])
    for one, two in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(one['img'], two['img'])
        np.testing.assert_array_equal(one['gt_seg_map'], two['gt_seg_map'])
        assert one['gt_seg_map'].shape == one['img'].shape[:2] == one['img_shape'][:2]
        assert one['gt_seg_map'].dtype == np.uint8
        assert set(np.unique(one['gt_seg_map'])) <= {0, 1, 2, 255}
        if name != 'GenerateEdge':
            np.testing.assert_array_equal(one['gt_seg_map'], one['gt_edge_map'])
    assert type(transform).__name__ in repr(transform)


def reference_box(labels, crop_size, ratio, ignore_index=255):
    """The definition: at most ten examined windows, counted with np.unique, then the next draw."""

    def draw():
        margins = [max(side - window, 0) for side, window in zip(labels.shape, crop_size, strict=True)]
        top, left = np.random.randint(0, margins[0] + 1), np.random.randint(0, margins[1] + 1)
        return top, top + crop_size[0], left, left + crop_size[1]

    box = draw()
    for _ in range(10):
        ids, counts = np.unique(labels[box[0] : box[1], box[2] : box[3]], return_counts=True)
        counts = counts[ids != ignore_index]
        if len(counts) > 1 and counts.max() / counts.sum() < ratio:
            break
        box = draw()
    return box


@pytest.mark.parametrize('ignore_index', [255, 0])
def test_crop_checks_windows_as_defined(ignore_index):
    """Background, half and half, borderline and ignored maps, against the plain definition."""
    rng = np.random.RandomState(1)
    tried_again = 0
    for case in range(60):
        labels = np.zeros((50, 70), np.uint8)
        share = case % 6 / 5
        width = int(70 * share * rng.rand())
        labels[:, :width] = rng.randint(0, 4)
        labels[: rng.randint(0, 50)][:, rng.rand(70) < 0.2] = 255
        labels[rng.rand(50, 70) < 0.05 * share] = 2
        if case % 2:
            labels = labels.astype(np.int64)
        crop = build('RandomCrop', crop_size=(24, 30), cat_max_ratio=0.75, ignore_index=ignore_index)
        np.random.seed(case)
        expected = reference_box(labels, (24, 30), 0.75, ignore_index)
        state = np.random.get_state()[2]
        np.random.seed(case)
        assert crop.crop_bbox(dict(img=labels, gt_seg_map=labels)) == expected
        assert np.random.get_state()[2] == state
        tried_again += state > 4
    assert tried_again > 10


def test_crop_keeps_a_smaller_image_and_rejects_bad_sizes():
    assert build('RandomCrop', crop_size=(64, 20))(sample())['img_shape'] == (40, 20)
    for bad in (0, (5, -1), (1, 2, 3)):
        with pytest.raises(ValueError, match='crop_size'):
            build('RandomCrop', crop_size=bad)


def test_rare_class_crop_contains_the_drawn_class():
    crop = build('RareClassCrop', crop_size=(16, 16), prob=1.0)
    starts = set()
    for seed in range(30):
        np.random.seed(seed)
        results = crop(dict(sample(), rare_class=2))
        assert (results['gt_seg_map'] == 2).any()
        assert results['img_shape'] == (16, 16)
        np.random.seed(seed)
        starts.add(crop.crop_bbox(dict(sample(), rare_class=2)))
        assert np.isin(crop(sample())['gt_seg_map'], (1, 2)).any()
    assert len(starts) > 10
    # without the class in the image it is an ordinary random crop
    flat = dict(img=np.zeros((20, 20, 3), np.uint8), gt_seg_map=np.zeros((20, 20), np.uint8), rare_class=1)
    assert crop(dict(flat, seg_fields=['gt_seg_map']))['img_shape'] == (16, 16)


def test_flip_directions_and_swapped_labels():
    for direction, axes in (('horizontal', [1]), ('vertical', [0]), ('diagonal', [0, 1])):
        before = sample()
        after = build('RandomFlip', prob=1.0, direction=direction)(sample())
        np.testing.assert_array_equal(after['img'], np.flip(before['img'], axes))
        np.testing.assert_array_equal(after['gt_edge_map'], np.flip(before['gt_seg_map'], axes))
        assert after['flip_direction'] == direction
    swapped = build('RandomFlip', prob=1.0, swap_seg_labels=[(1, 2)])(sample())['gt_seg_map'][:, ::-1]
    labels = sample()['gt_seg_map']
    assert (swapped[labels == 1] == 2).all()
    assert (swapped[labels == 2] == 1).all()


def distorted_in_float(img, seed):
    """The definition in plain arithmetic: each step scaled, shifted, clipped and truncated by itself."""

    def convert(values, alpha=1, beta=0):
        return np.clip(values.astype(np.float32) * alpha + beta, 0, 255).astype(np.uint8)

    np.random.seed(seed)
    if np.random.randint(2):
        img = convert(img, beta=np.random.uniform(-32, 32))
    first = np.random.randint(2)
    if first and np.random.randint(2):
        img = convert(img, alpha=np.random.uniform(0.5, 1.5))
    if np.random.randint(2):
        hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
        hsv[..., 1] = convert(hsv[..., 1], alpha=np.random.uniform(0.5, 1.5))
        img = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    if np.random.randint(2):
        hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + np.random.randint(-18, 18)) % 180
        img = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    if not first and np.random.randint(2):
        img = convert(img, alpha=np.random.uniform(0.5, 1.5))
    return img


def test_photometric_tables_equal_the_arithmetic():
    transform = build('PhotoMetricDistortion')
    for seed in range(40):
        img = sample(seed)['img']
        np.random.seed(seed)
        result = transform(dict(img=img.copy()))['img']
        np.testing.assert_array_equal(result, distorted_in_float(img, seed))
    with pytest.raises(ValueError, match=r'g\.png is float32'):
        transform(dict(img=np.zeros((4, 4, 3), np.float32), img_path='g.png'))


def test_small_transforms_by_hand():
    edge = build('GenerateEdge', edge_width=1)(
        dict(gt_seg_map=np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 255]], np.uint8))
    )['gt_edge_map']
    # The 1 differs from its neighbours above, left and diagonally; against 255 there is no edge.
    np.testing.assert_array_equal(edge, [[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 0]])
    grey = build('RGB2Gray', out_channels=1, weights=(0.5, 0.25, 0.25))
    assert grey(dict(img=np.array([[[8, 4, 12]]], np.uint8)))['img'].tolist() == [[[8.0]]]
    stretched = build('Rerange', min_value=-1, max_value=1)(dict(img=np.array([[0, 100, 200]], np.uint8)))
    np.testing.assert_allclose(stretched['img'], [[-1, 0, 1]])
    assert build('ResizeToMultiple', size_divisor=32)(sample())['pad_shape'] == (64, 64)
    # 40 x 60 with shorter side 20 would be 20 x 30; the bound 24 makes it 16 x 24.
    assert build('ResizeShortestEdge', scale=20, max_size=24)(sample())['img_shape'] == (16, 24)
    assert build('SegRescale', scale_factor=0.5)(sample())['gt_seg_map'].shape == (20, 30)


@pytest.mark.parametrize(
    ('name', 'kwargs', 'message'),
    [
        ('RandomRotate', dict(prob=2, degree=3), 'prob=2'),
        ('RandomRotate', dict(prob=1, degree=-3), 'degree=-3'),
        ('RandomCutOut', dict(prob=1, n_holes=1), 'either cutout_shape or cutout_ratio'),
        ('RandomCutOut', dict(prob=1, n_holes=(3, 1), cutout_shape=(1, 1)), 'n_holes'),
        ('RandomMosaic', dict(prob=-1), 'prob=-1'),
        ('RareClassCrop', dict(crop_size=3, prob=3), 'prob=3'),
        ('Rerange', dict(min_value=3, max_value=3), 'min < max'),
        ('AdjustGamma', dict(gamma=0), 'gamma=0'),
        ('CopyPasteDefects', dict(scale_range=(2, 1)), 'scale_range'),
    ],
)
def test_bad_arguments_are_named(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(name, **kwargs)


def test_albu_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'albumentations', None)
    with pytest.raises(ImportError, match='pip install albumentations'):
        build('Albu', transforms=[])


def test_albu_runs_albumentations_reproducibly():
    pytest.importorskip('albumentations', reason='albumentations is an optional package')
    steps = [
        dict(type='HorizontalFlip', p=1.0),
        dict(type='OneOf', transforms=[dict(type='Blur', p=0.5)], p=0.5),
    ]
    albu = build('Albu', transforms=steps, keymap=dict(img='image', gt_seg_map='mask', gt_edge_map='edge'))
    runs = []
    for _ in range(2):
        np.random.seed(4)
        runs.append([albu(sample(seed)) for seed in range(8)])
    for one, two in zip(*runs, strict=True):
        np.testing.assert_array_equal(one['img'], two['img'])
        np.testing.assert_array_equal(one['gt_edge_map'], sample()['gt_seg_map'][:, ::-1])
    with pytest.raises(ValueError, match='gt_edge_map'):
        build('Albu', transforms=steps)(sample())
    with pytest.raises(ValueError, match='no transform'):
        build('Albu', transforms=[dict(type='NoSuchThing')])


def test_albu_gives_albumentations_rgb(monkeypatch):
    """b+50 on grey gives (B, G, R) = (150, 100, 100), as in mmsegmentation; the mask is not touched."""

    class Package:
        __version__ = '0'

        class BlueShift:
            def __call__(self, image, mask):
                assert image.flags.c_contiguous
                return dict(image=image + np.array([0, 0, 50], np.uint8), mask=mask)

        class Compose:
            def __init__(self, steps, additional_targets):
                self.steps = steps

            def __call__(self, **arrays):
                for step in self.steps:
                    arrays = step(**arrays)
                return arrays

    monkeypatch.setitem(sys.modules, 'albumentations', Package)
    labels = np.arange(4, dtype=np.uint8).reshape(2, 2)
    results = dict(img=np.full((2, 2, 3), 100, np.uint8), gt_seg_map=labels, seg_fields=['gt_seg_map'])
    changed = build('Albu', transforms=[dict(type='BlueShift')])(results)
    assert changed['img'][0, 0].tolist() == [150, 100, 100]
    np.testing.assert_array_equal(changed['gt_seg_map'], labels)
