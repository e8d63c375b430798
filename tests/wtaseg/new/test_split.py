"""Splits and folds by class content."""

import json
from collections import Counter

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from wtaseg.cli import main
from wtaseg.new.split import SPLITS, Split, assign_parts


def content(count, rarity, seed=0):
    """Pixels per image and class; class 0 is everywhere, class c with probability ``rarity[c]``."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(1, 50, (count, len(rarity))) * (rng.random((count, len(rarity))) < rarity)
    pixels[:, 0] = 10_000
    return pixels


def holders(splits, names, pixels):
    parts = np.array([splits[name] for name in names])
    return {split: (pixels[parts == split] > 0).sum(0) for split in SPLITS}


@pytest.mark.parametrize('count', [24, 100, 600])
@pytest.mark.parametrize('seed', range(4))
def test_every_split_holds_every_class_in_proportion(count, seed):
    pixels = content(count, [1, 0.5, 0.3, 0.2], seed)
    names = [f'image {i}' for i in range(count)]
    splits = Split(seed=seed).assign(names, pixels)
    counts = Counter(splits.values())
    np.testing.assert_allclose([counts[s] / count for s in SPLITS], [0.7, 0.15, 0.15], atol=1.5 / count)
    for split, present in holders(splits, names, pixels).items():
        assert present.all(), split


@pytest.mark.parametrize(
    ('images', 'expected'), [(3, {'train', 'val', 'test'}), (2, {'train', 'test'}), (1, {'train'})]
)
def test_a_class_of_few_images_reaches_as_many_splits(images, expected):
    pixels = np.array([[100, int(i < images)] for i in range(20)])
    names = [f'{i}' for i in range(20)]
    splits = Split().assign(names, pixels)
    assert {splits[name] for name in names[:images]} == expected


def test_seed_and_not_the_order_decides():
    pixels = content(60, [1, 0.4, 0.2])
    names = [f'{i}' for i in range(60)]
    first = Split(seed=1).assign(names, pixels)
    order = np.random.default_rng(0).permutation(60)
    assert Split(seed=1).assign([names[i] for i in order], pixels[order]) == first
    assert Split(seed=2).assign(names, pixels) != first


def test_images_of_a_group_stay_together():
    names = [f'part{i // 4}_{i}' for i in range(80)]
    splits = Split(group_by=r'part\d+').assign(names, content(80, [1, 0.4, 0.2]))
    by_part = {}
    for name, split in splits.items():
        by_part.setdefault(name.split('_')[0], set()).add(split)
    assert all(len(parts) == 1 for parts in by_part.values()) and set(splits.values()) == set(SPLITS)
    # a group in parentheses is what counts
    splits = Split(group_by=r'part(\d)').assign(names, content(80, [1, 0.4, 0.2]))
    assert len({splits[name] for name in names if name.startswith('part1')}) == 1
    with pytest.raises(ValueError, match="finds nothing in 'other'"):
        Split(group_by=r'part\d+').assign(['part1', 'other'], np.ones((2, 2), int))


@pytest.mark.parametrize('shares', ['70/30', '0/50/50', 'a/b/c', '-1/1/1'])
def test_shares_are_checked(shares):
    with pytest.raises(ValueError, match='--split'):
        Split.parse(shares)
    with pytest.raises(ValueError, match='--group-by'):
        Split.parse('1/1/1', group_by='(')


def test_a_share_of_zero_leaves_a_split_empty_and_too_few_images_are_refused():
    names = [f'{i}' for i in range(10)]
    assert set(Split.parse('80/20/0').assign(names, content(10, [1, 0.5])).values()) == {'train', 'val'}
    with pytest.raises(ValueError, match='2 images or groups can not fill 3 splits'):
        Split().assign(names[:2], content(2, [1, 0.5]))


def test_folds_are_even_and_hold_every_class():
    pixels = content(50, [1, 0.5, 0.3])
    parts = assign_parts([f'{i}' for i in range(50)], pixels, [1] * 5, seed=0)
    assert np.bincount(parts).tolist() == [10] * 5
    assert all((pixels[parts == fold] > 0).any(0).all() for fold in range(5))


@pytest.fixture
def dataset(tmp_path):
    """30 images in train and val and 6 in test; every image holds class 1, every third class 2."""
    root = tmp_path / 'data'
    for i in range(36):
        split = 'test' if i >= 30 else ('train', 'val')[i % 2]
        label = np.zeros((8, 8), np.uint8)
        label[0, 0], label[1, 1] = 1, 2 * (i % 3 == 0)
        label[7, 7] = 255
        for folder, pixels in (('img_dir', np.full((8, 8, 3), i, np.uint8)), ('ann_dir', label)):
            path = root / folder / split / f'사진 {i}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return root


def test_the_command_splits_a_dataset_again(dataset, tmp_path, capsys):
    before = {path: path.read_bytes() for path in dataset.rglob('*.png')}
    out = tmp_path / 'again'
    assert main(['split', str(dataset), '--out', str(out), '--split', '50/25/25']) == 0
    assert 'train 18' in capsys.readouterr().out
    assert {path: path.read_bytes() for path in dataset.rglob('*.png')} == before
    assert {path.name for path in out.rglob('img_dir/*/*.png')} == {path.name for path in before}
    splits = json.loads((out / 'dataset.json').read_text(encoding='utf-8'))['splits']
    for name, split in splits.items():
        image = np.array(Image.open(out / 'img_dir' / split / f'{name}.png'))
        assert (image == int(name.split()[1])).all()
        assert (out / 'ann_dir' / split / f'{name}.png').is_file()
    assert main(['split', str(dataset), '--out', str(out), '--split', '60/20/20']) == 1
    assert 'was made with split=' in capsys.readouterr().err


def test_the_command_writes_folds_and_their_configs(dataset, tmp_path, capsys):
    experiment = tmp_path / 'experiment.py'
    loader = "dict(dataset=dict(type='WTADataset', data_root='x', data_prefix=dict(img_path='a', seg_map_path='b')))"
    experiment.write_text(f'train_dataloader = {loader}\nval_dataloader = {loader}\n')
    assert main(['split', str(dataset), '--folds', '3', '--experiment', str(experiment)]) == 0
    validated = Counter()
    for fold in (1, 2, 3):
        cfg = Config.fromfile(tmp_path / f'experiment_fold{fold}.py')
        from mmseg.registry import DATASETS

        train, val = (DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val'))
        assert len(train) == 20 and len(val) == 10
        train_paths, val_paths = ({item['img_path'] for item in part} for part in (train, val))
        assert not train_paths & val_paths and not any('/test/' in path for path in train_paths | val_paths)
        validated.update(val_paths)
    assert len(validated) == 30 and set(validated.values()) == {1}
    assert main(['split', str(dataset)]) == 1
    assert '--out' in capsys.readouterr().err
