"""Masks, crops and compositing, on cases small enough to check by hand."""

import numpy as np
import pytest
import torch

from augment.config import AugmentConfig
from augment.dataset.regions import (
    crop_boxes,
    cut,
    feathered,
    latent_mask,
    paste,
    plan_regions,
    support,
    to_working,
    working_mask,
    working_size,
)


def label_with(*points, shape=(96, 96)):
    label = np.zeros(shape, np.uint8)
    for y, x in points:
        label[y, x] = 2
    return label


def test_feather_falls_linearly_from_the_dilated_mask():
    mask = np.zeros((1, 10), bool)
    mask[0, 0] = True
    # Distances 0..9, dilated by 2: full up to 2, then 3/4, 2/4, 1/4 and nothing from 6 on.
    assert feathered(mask, 2, 4)[0].tolist() == [1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0, 0]
    assert feathered(mask, 2, 0)[0].tolist() == [1] * 3 + [0] * 7


def test_feather_follows_the_exact_euclidean_distance():
    mask = np.random.default_rng(0).random((23, 41)) > 0.985
    points = np.argwhere(mask)
    grid = np.stack(np.mgrid[:23, :41], -1)
    distance = np.sqrt(((grid[:, :, None] - points) ** 2).sum(-1)).min(-1)
    for dilate in (0, 1, 5, 60):
        assert np.array_equal(feathered(mask, dilate, 0), distance <= dilate)
        expected = np.clip(1 - (distance - dilate) / 7, 0, 1).astype(np.float32)
        assert np.array_equal(feathered(mask, dilate, 7), expected)


def test_working_size_keeps_shape_and_area():
    assert working_size(512, 512, 512) == (512, 512)
    assert working_size(300, 300, 1024) == (1024, 1024)
    assert working_size(512, 2048, 512) == (256, 1024)
    assert working_size(64, 192, 64) == (64, 128)


def test_pixels_outside_the_mask_stay_to_the_bit():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (90, 110, 3), dtype=np.uint8)
    config = AugmentConfig(resolution=64, mask_dilate=3, mask_feather=3)
    (region,) = plan_regions(label_with((40, 50), (41, 50), shape=(90, 110)), config)
    edited = rng.integers(0, 256, (*region.size, 3), dtype=np.uint8)
    result = paste(image, edited, region)
    y, x = np.mgrid[:90, :110]
    distance = np.minimum(np.hypot(y - 40, x - 50), np.hypot(y - 41, x - 50))
    assert np.array_equal(result[distance >= 6], image[distance >= 6])
    assert np.array_equal(support([region], image.shape[:2]), distance < 6)
    assert (result[distance <= 3] != image[distance <= 3]).any(axis=-1).mean() > 0.9


def test_an_unedited_region_at_native_size_changes_nothing():
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for blend in ('label', 'none'):
        (region,) = plan_regions(
            label_with((9, 9), shape=(64, 64)), AugmentConfig(resolution=64, blend=blend)
        )
        assert np.array_equal(paste(image, to_working(image, region), region), image)


def test_labels_without_defect_have_nothing_to_edit_under_a_mask():
    empty = np.full((64, 64), 255, np.uint8)
    assert plan_regions(empty, AugmentConfig()) == []
    (region,) = plan_regions(empty, AugmentConfig(blend='none'))
    assert region.box == (0, 0, 64, 64) and region.mask.all()


def test_crops_are_squares_in_the_image_and_each_defect_belongs_to_one():
    config = AugmentConfig(crop='defect', crop_min=32, crop_context=1.0, mask_dilate=1, mask_feather=1)
    weight = feathered(label_with((2, 2), (6, 6), (60, 80), (61, 80)) > 0, 1, 1)
    boxes = crop_boxes(weight, config)
    # The defect of two pixels is the largest; the two at the corner lie in one crop moved into the image.
    assert [box for box, _ in boxes] == [(64, 45, 96, 77), (0, 0, 32, 32)]
    assert np.array_equal(sum(part for _, part in boxes), weight)
    assert all((part > 0).sum() == (cut(part, box) > 0).sum() for box, part in boxes)


def test_a_defect_too_long_for_a_square_takes_the_whole_image():
    label = np.zeros((40, 200), np.uint8)
    label[20, 10:190] = 1
    regions = plan_regions(label, AugmentConfig(crop='defect', crop_min=32))
    assert [r.box for r in regions] == [(0, 0, 200, 40)]


def speckled(shape=(512, 512), count=40, seed=0):
    """A label with ``count`` defects of 3 x 3 pixels."""
    random = np.random.default_rng(seed)
    label = np.zeros(shape, np.uint8)
    for y, x in random.integers(0, np.array(shape) - 3, (count, 2)):
        label[y : y + 3, x : x + 3] = 1
    return label


@pytest.mark.parametrize('shape', [(512, 512), (300, 900), (64, 192)])
@pytest.mark.parametrize('count', [1, 6, 40])
def test_automatic_crops_cover_every_defect_once(shape, count):
    config = AugmentConfig()
    label = speckled(shape, count)
    label[10:12, 5 : shape[1] // 2] = 2
    covered = np.zeros(shape, np.float32)
    for region in plan_regions(label, config):
        cut(covered, region.box)[...] += region.weight
    assert np.array_equal(covered, feathered(label > 0, config.mask_dilate, config.mask_feather))


def test_automatic_crops_enlarge_small_defects_and_take_the_whole_image_for_large_ones():
    config = AugmentConfig()
    label = speckled(count=6)
    label[100:104, 60:400] = 2
    whole, *crops = plan_regions(label, config)
    assert whole.box == (0, 0, 512, 512) and cut(label, whole.box)[whole.mask].max() == 2
    assert crops and all(region.box[2] - region.box[0] <= 256 for region in crops)
    # Where crop_min is most of the image already, a crop would gain nothing.
    (region,) = plan_regions(label_with((5, 5), (90, 90)), config)
    assert region.box == (0, 0, 96, 96) and region.mask[5, 5] and region.mask[90, 90]


def test_overlapping_crops_are_merged_while_that_still_enlarges():
    config = AugmentConfig(mask_dilate=0, mask_feather=0)
    shape = (512, 512)
    # Crops of 128: alone, the first two would overlap by 28 columns; together they need (101 + 1) * 2 = 202 pixels.
    boxes = [r.box for r in plan_regions(label_with((200, 100), (200, 200), (450, 450), shape=shape), config)]
    assert boxes == [(49, 99, 251, 301), (384, 384, 512, 512)]
    # In a chain over the whole width, squares over half the image are not made; the crops stay apart.
    chain = label_with(*((200, x) for x in range(50, 470, 100)), shape=shape)
    regions = plan_regions(chain, config)
    assert 1 < len(regions) < 5 and all(r.box[2] - r.box[0] <= 256 for r in regions)
    assert sum(int((r.weight > 0).sum()) for r in regions) == 5


def test_crop_limit_keeps_the_largest():
    label = label_with((5, 5), (80, 80), (80, 81))
    regions = plan_regions(
        label, AugmentConfig(crop='defect', crop_min=16, crop_limit=1, mask_dilate=1, mask_feather=1)
    )
    assert len(regions) == 1 and regions[0].mask.sum() and regions[0].box[0] > 60


def test_crops_without_label_mask_fade_at_inner_borders_only():
    config = AugmentConfig(crop='defect', blend='none', crop_min=32, mask_feather=3)
    (region,) = plan_regions(label_with((0, 48)), config)
    assert region.box[1] == 0 and region.weight[0, 16] == 1  # the border of the image
    assert region.weight[-1, 16] == pytest.approx(0.25) and region.weight[5, 0] == pytest.approx(0.25)


def test_latent_mask_opens_every_cell_that_the_weight_touches():
    (region,) = plan_regions(
        label_with((17, 40), shape=(64, 64)), AugmentConfig(resolution=64, mask_dilate=0, mask_feather=0)
    )
    cells = latent_mask(region, 8)
    assert cells.shape == (1, 8, 8)
    assert cells.nonzero().tolist() == [[0, 2, 5]]
    # A crop enlarged to the working size: the mask is enlarged with it and never lost on the way down.
    (region,) = plan_regions(
        label_with((17, 40), shape=(256, 256)),
        AugmentConfig(resolution=64, mask_dilate=0, mask_feather=0, crop='none'),
    )
    assert torch.equal(latent_mask(region, 8).nonzero(), torch.tensor([[0, 0, 1]]))
    assert working_mask(region).sum() == 1
