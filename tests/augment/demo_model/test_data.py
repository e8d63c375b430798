"""Crops are cut as in use, and the list of styles says what they look like."""

import json

import numpy as np
import pytest
from PIL import Image

from augment.config import AugmentConfig
from augment.dataset.reading import decode_image, decode_label
from augment.dataset.regions import plan_regions, to_working
from augment.demo_model.architecture import WORDS
from augment.demo_model.data import Crops, read_crops
from augment.demo_model.styles import read_styles


def test_crops_are_those_of_an_edit(styled_dataset):
    crops = read_crops(styled_dataset, 'train', 64, side=64)
    config = AugmentConfig(crop='defect', crop_min=64, resolution=64)
    name = 'train_00000.png'
    image = decode_image((styled_dataset / 'img_dir/train' / name).read_bytes())
    regions = plan_regions(decode_label((styled_dataset / 'ann_dir/train' / name).read_bytes()), config)
    assert len(regions) == 2
    for crop, region in zip(crops.images[:2], regions):
        np.testing.assert_array_equal(crop, to_working(image, region))


def test_every_look_is_there_and_every_crop_holds_its_defect(styled_dataset):
    crops = read_crops(styled_dataset, 'train', 64)
    assert np.bincount(crops.words, minlength=7).tolist() == [2] * 7
    assert crops.defects.any(axis=(1, 2)).all()
    for word, brightness in zip(WORDS, (90, 120, 150, 180, 210, 240)):
        styled = crops.select(crops.words == 1 + WORDS.index(word))
        # Enlarging blurs the border of a defect, never its middle.
        assert abs(int(np.median(styled.images[0][styled.defects[0]])) - brightness) <= 2


def test_the_number_of_processes_changes_nothing(styled_dataset):
    one, two = (read_crops(styled_dataset, 'train', 64, workers) for workers in (1, 2))
    np.testing.assert_array_equal(one.images, two.images)
    np.testing.assert_array_equal(one.words, two.words)


def test_labels_of_a_twin_replace_those_of_the_dataset(styled_dataset, tmp_path):
    twin = tmp_path / 'twin'
    for path in sorted((styled_dataset / 'ann_dir/val').iterdir()):
        label = np.zeros((160, 160), np.uint8)
        label[70:76, 80:90] = 2
        (twin / 'ann_dir/val').mkdir(parents=True, exist_ok=True)
        Image.fromarray(label).save(twin / 'ann_dir/val' / path.name)
    crops = read_crops(styled_dataset, 'val', 64, side=64, labels=twin)
    assert crops.words.tolist() == [1, 2, 3, 4, 5, 6, 0]
    assert crops.defects.sum(axis=(1, 2)).tolist() == [60] * 7


def test_crops_survive_the_disk(crops, tmp_path):
    crops.save(tmp_path / 'crops.npz')
    again = Crops.load(tmp_path / 'crops.npz')
    for name in ('images', 'defects', 'words'):
        np.testing.assert_array_equal(getattr(again, name), getattr(crops, name))
    assert [path.name for path in tmp_path.iterdir()] == ['crops.npz']


def test_a_dataset_without_the_list_is_refused_with_the_command(styled_dataset):
    (styled_dataset / 'styles.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'wta-seg render .*--style none scratch'):
        read_styles(styled_dataset, 'train')


def test_an_unknown_word_is_refused(styled_dataset):
    (styled_dataset / 'styles.json').write_text(json.dumps({'train/a.png': 'mould'}))
    with pytest.raises(ValueError, match=r"train/a.png has the word 'mould'"):
        read_styles(styled_dataset, 'train')


def test_a_split_without_images_is_refused(styled_dataset):
    with pytest.raises(ValueError, match='no image of split test'):
        read_styles(styled_dataset, 'test')
