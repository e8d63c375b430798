"""Defects cut out of training images, where they fit, and what comes of it."""

import hashlib
import logging
from dataclasses import replace

import numpy as np
import pytest

from augment.config import AugmentConfig
from augment.dataset.donors import Cutter, count_defects, find_donors
from augment.dataset.packed import PackedArray
from augment.dataset.placing import SEARCH, differences, find_place
from augment.dataset.planting import classes_of_image, plant
from augment.dataset.reading import Dataset, Sample, encode_label
from augment.files import write_png

SIDE = 96


def scene(seed: int, hole: bool = False) -> np.ndarray:
    """A dark background on the left, a brighter part on the right, perhaps with a hole, ``(96, 96, 3)`` uint8."""
    image = np.full((SIDE, SIDE, 3), 30.0)
    image[:, 30:] = 110
    if hole:
        image[10:50, 40:80] = 60
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def sample_of(folder, name: str, image: np.ndarray, label: np.ndarray) -> Sample:
    """A sample whose image is a file."""
    path = folder / f'img_dir/train/{name}.png'
    write_png(path, image)
    digest = hashlib.sha256(encode_label(label)).hexdigest()
    return Sample(
        name, path, path, hashlib.sha256(path.read_bytes()).hexdigest(), digest, '', PackedArray.pack(label)
    )


def defect_at(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    """A label with boxes (class id, left, top, right, bottom)."""
    label = np.zeros((SIDE, SIDE), np.uint8)
    for class_id, left, top, right, bottom in boxes:
        label[top:bottom, left:right] = class_id
    return label


@pytest.fixture
def data(tmp_path) -> Dataset:
    """Two images with a defect, on the part and at its edge, and two normal ones, one with a hole."""
    samples = []
    for name, label in (('a', defect_at((1, 60, 60, 66, 64))), ('b', defect_at((2, 34, 40, 38, 46)))):
        image = scene(len(samples))
        image[label > 0] = (200, 160, 90) if name == 'a' else (220, 220, 220)
        samples.append(sample_of(tmp_path, name, image, label))
    for name, hole in (('m', True), ('n', False)):
        samples.append(sample_of(tmp_path, name, scene(5 + hole, hole), np.zeros((SIDE, SIDE), np.uint8)))
    return Dataset(tmp_path, 'train', samples, [])


def config(**values) -> AugmentConfig:
    return AugmentConfig(mode='paste', **values)


def test_specks_that_belong_together_are_one_defect_of_the_larger_class():
    label = defect_at((1, 40, 40, 44, 44), (2, 48, 40, 50, 42), (2, 70, 70, 74, 74))
    assert count_defects(label) == {1: 1, 2: 1} and not count_defects(label * 0)


def test_a_defect_at_the_border_or_beside_ignored_pixels_or_too_large_is_no_donor(tmp_path):
    label = defect_at((1, 0, 40, 4, 44), (1, 60, 10, 64, 14), (255, 66, 10, 68, 14), (1, 20, 60, 80, 64))
    assert not find_donors([sample_of(tmp_path, 'x', scene(0), label)])


def test_a_patch_has_what_the_defect_adds_and_nothing_beside_it(data):
    (first, second), cutter = find_donors(data.samples), Cutter()
    patch = cutter.cut(first)
    assert (first.class_id, second.class_id) == (1, 2)
    left, top, right, bottom = first.box
    assert (left, top, right, bottom) == (54, 54, 72, 70)
    pixels = data.samples[0].pixels()[top:bottom, left:right]
    np.testing.assert_array_equal(np.rint(patch.surface + patch.added), pixels)
    assert np.abs(patch.surface.astype(int) - 110).max() < 15  # the defect is not in it
    assert not patch.added[0].any() and not patch.near.all()
    for turn in range(8):
        assert patch.turned(turn).ids.sum() == patch.ids.sum()
    np.testing.assert_array_equal(patch.turned(5).ids, np.rot90(patch.ids)[:, ::-1])


def test_differences_are_root_mean_squares(data):
    patch = Cutter().cut(find_donors(data.samples)[0])
    image = np.clip(patch.surface.astype(int) + 7, 0, 255).astype(np.uint8)
    assert differences(image, patch) == pytest.approx(7, abs=0.01)


@pytest.mark.parametrize('number', [0, 1], ids=['on the part', 'at the edge'])
def test_places_look_like_the_old_surroundings(data, number):
    donor = find_donors(data.samples)[number]
    patch, image, rng = Cutter().cut(donor), scene(9, hole=number == 0), np.random.default_rng(0)
    free = np.zeros((SIDE, SIDE), bool)
    # a column more or less of the edge, 80 levels in 16 columns, is a difference of 20
    places = {find_place(image, free, patch, 14, rng) for _ in range(60)}
    assert len(places - {None}) > 5
    for left, top in places - {None}:
        rows, columns = np.nonzero(patch.ids)
        assert (image[rows + top, columns + left].mean(-1) > 95).all()  # neither hole nor background
        if number == 1:  # the edge is where it was
            assert left == donor.box[0]


def test_nothing_is_placed_on_another_defect_or_into_a_smaller_image(data):
    patch, rng = Cutter().cut(find_donors(data.samples)[0]), np.random.default_rng(0)
    occupied = np.zeros((SIDE, SIDE), bool)
    occupied[:, ::8] = True
    assert all(find_place(scene(3), occupied, patch, 200, rng) is None for _ in range(5))
    assert find_place(scene(3)[:8], occupied[:8], patch, 200, rng) is None


def test_a_window_of_a_large_image_is_searched(data):
    patch = Cutter().cut(find_donors(data.samples)[0])
    image = np.tile(scene(1), (6, 6, 1))
    assert min(image.shape[:2]) > SEARCH
    rng = np.random.default_rng(0)
    places = [find_place(image, np.zeros(image.shape[:2], bool), patch, 9, rng) for _ in range(8)]
    assert max(left for left, _ in filter(None, places)) > SEARCH


def test_planted_images_have_the_defects_and_their_labels(data):
    samples = plant(config(ratio=1.0, per_class=['1=6', '2=2']), data)
    assert [s.name for s in samples] == [
        f'{base}__plant{n}'
        for n, base in (
            (1, samples[0].base.name),
            (1, samples[1].base.name),
            (2, samples[0].base.name),
            (2, samples[1].base.name),
        )
    ]
    counts = sum(
        (count_defects(s.class_ids()) for s in samples), start=count_defects(samples[0].class_ids() * 0)
    )
    assert sum(len(s.placed) for s in samples) >= 6 and counts[1] >= 4
    for sample in samples:
        label, changed = sample.class_ids(), (sample.pixels() != sample.base.pixels()).any(-1)
        assert changed[label > 0].mean() > 0.9
        assert changed.sum() <= 3 * (label > 0).sum()
        assert sample.planting.label_sha256 == hashlib.sha256(encode_label(label)).hexdigest()
        assert [d.donor for d in sample.planting.defects] == [
            f'img_dir/train/{p.donor.sample.name}.png' for p in sample.placed
        ]


def test_a_larger_ratio_contains_a_smaller_one(data):
    few, many = (plant(config(ratio=ratio), data) for ratio in (0.5, 1.5))
    assert len(few) == 2 and len(many) == 6
    assert [s.planting for s in few] == [s.planting for s in many[:2]]
    assert [s.planting for s in plant(config(limit=2), data)] == [s.planting for s in few]
    other = plant(config(seed=1, ratio=1.5), data)
    assert [s.planting for s in other] != [s.planting for s in many]


def test_each_class_has_its_mean_number_and_every_image_a_defect():
    images = [list(classes_of_image({1: 2.5, 2: 0.25}, k)) for k in range(8)]
    assert sum(image.count(1) for image in images) == 20 and sum(image.count(2) for image in images) == 2
    assert [list(classes_of_image({1: 0.1, 2: 0.3}, k)) for k in range(3)] == [[2], [2], [2]]


def test_a_planted_dataset_is_not_planted_again(data):
    taken = replace(data.samples[3], name=f'{data.samples[2].name}__plant1__paste')
    with pytest.raises(
        ValueError, match=r'm__plant1__paste\.png has the name .* augment the original dataset'
    ):
        plant(config(), replace(data, samples=[*data.samples[:3], taken]))


def test_what_finds_no_place_is_counted(data, caplog):
    with caplog.at_level(logging.WARNING):
        samples = plant(config(plant_difference=0.0), data)
    assert not any(s.placed for s in samples) and 'found no place that fits' in caplog.text


@pytest.mark.parametrize(
    ('chosen', 'values', 'message'),
    [
        ([0, 1], {}, 'has no normal image'),
        ([2, 3], {}, 'has no defect that can be planted'),
        ([0, 2], dict(per_class=['2=3']), r'no defect of class 2 that can be planted; it has \[1\]'),
    ],
)
def test_what_can_not_be_planted_is_said(data, chosen, values, message):
    few = Dataset(data.root, 'train', [data.samples[i] for i in chosen], [])
    with pytest.raises(ValueError, match=message):
        plant(config(**values), few)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(per_class=['1']), "per-class: '1' found; expected CLASS=COUNT"),
        (dict(per_class=['attached=3']), 'expected CLASS=COUNT'),
        (dict(per_class=['255=3']), 'expected CLASS=COUNT'),
        (dict(per_class=['1=3', '1=4']), 'class 1 is named twice'),
        (dict(per_class=['1=0']), 'asks for no defect'),
        (dict(mode='plant', blend='none'), 'plant needs blend=label, found none'),
        (dict(ratio=-1.0), 'ratio: -1.0 found'),
    ],
)
def test_options_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        AugmentConfig(**values)
