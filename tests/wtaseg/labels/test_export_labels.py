"""Label maps to annotation programs and back, to the pixel."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from augment_command import edits_of, pixels
from edited_dataset import label_with_square, make_edited_dataset, write_image

from wtaseg.cli import main
from wtaseg.labels.regions import labelled_regions
from wtaseg.labels.shapes import fill_polygon


def label_of_everything(seed: int = 0) -> np.ndarray:
    """Class ids (40, 60): noise of all classes and of ignored pixels, rings with islands, pixels at every border."""
    rng = np.random.default_rng(seed)
    ids = rng.choice([0, 0, 1, 2, 255], (40, 60)).astype(np.uint8)
    ids[5:20, 5:20] = 1
    ids[8:17, 8:17] = 0
    ids[10:15, 10:15] = 2
    ids[12, 12] = 0
    return ids


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Two labelled images of 60 x 40, one in a folder of its own, and one without defects."""
    root = tmp_path / 'set'
    for n, name in enumerate(['a.jpg', '부품/b.png', 'c.png']):
        path = root / 'img_dir/train' / name
        write_image(path, np.full((40, 60, 3), 50 * n))
        label = label_of_everything(n) if n < 2 else np.zeros((40, 60), np.uint8)
        write_image((root / 'ann_dir/train' / name).with_suffix('.png'), label)
    return root


def labels_below(folder: Path) -> dict[str, np.ndarray]:
    return {path.relative_to(folder).as_posix(): pixels(path) for path in sorted(folder.rglob('*.png'))}


@pytest.mark.parametrize('shapes', ['mask', 'polygon'])
def test_coco_and_back(dataset, tmp_path, shapes, capsys):
    out, back = tmp_path / 'x.json', tmp_path / 'back'
    assert main(['convert', 'to-coco', str(dataset), '--out', str(out), '--shapes', shapes]) == 0
    assert 'regions of 3 images' in capsys.readouterr().out
    content = json.loads(out.read_text())
    assert [image['file_name'] for image in content['images']] == ['a.jpg', 'c.png', '부품/b.png']
    assert [c['name'] for c in content['categories']] == ['attached', 'broken', 'ignore']
    kinds = {type(annotation['segmentation']) for annotation in content['annotations']}
    assert kinds == ({dict} if shapes == 'mask' else {dict, list})  # rings stay masks
    assert main(['convert', 'coco', str(out), '--out', str(back)]) == 0
    expected, result = labels_below(dataset / 'ann_dir/train'), labels_below(back)
    assert result.keys() == expected.keys()
    for name, ids in expected.items():
        np.testing.assert_array_equal(result[name], ids)


@pytest.mark.parametrize('shapes', ['mask', 'polygon'])
def test_labelme_and_back(dataset, tmp_path, shapes):
    out = tmp_path / 'labelme'
    assert main(['convert', 'to-labelme', str(dataset), '--out', str(out), '--shapes', shapes]) == 0
    for name in ('a', 'c', '부품/b'):
        file = out / f'{name}.json'
        content = json.loads(file.read_text())
        assert (file.parent / content['imagePath']).resolve().is_file() and content['imageData'] is None
        back = tmp_path / 'back' / name
        assert main(['convert', 'labelme', str(file.parent), '--out', str(back)]) == 0
        expected = pixels(dataset / f'ann_dir/train/{name}.png')
        np.testing.assert_array_equal(pixels(back / f'{Path(name).name}.png'), expected)


def test_masks_are_placed_as_labelme_does(dataset, tmp_path):
    """Its program sets the pixels from the first corner to the second, both included."""
    ids = label_with_square(40, at=7)
    write_image(dataset / 'img_dir/val/x.png', np.zeros((40, 40, 3)))
    write_image(dataset / 'ann_dir/val/x.png', ids)
    main(['convert', 'to-labelme', str(dataset), '--split', 'val', '--out', str(tmp_path / 'out')])
    (shape,) = json.loads((tmp_path / 'out/x.json').read_text())['shapes']
    assert (shape['label'], shape['points']) == ('attached', [[7, 7], [10, 10]])


@pytest.mark.parametrize('seed', range(4))
def test_outlines_hold_the_same_pixels_as_their_regions(seed):
    ids = np.random.default_rng(seed).choice([0, 1], (30, 30), p=[0.6 - 0.1 * seed, 0.4 + 0.1 * seed])
    outlines = 0
    for region in labelled_regions(ids.astype(np.uint8)):
        outline = region.outline()
        if outline is None:
            continue
        outlines += 1
        expected, result = np.zeros((2, 30, 30), np.uint8)
        height, width = region.mask.shape
        expected[region.y : region.y + height, region.x : region.x + width] = region.mask
        fill_polygon(result, outline, 1)
        np.testing.assert_array_equal(result, expected)
    assert outlines


def test_outlines_of_smooth_shapes_have_few_corners():
    y, x = np.mgrid[:80, :80]
    ids = ((x - 40) ** 2 + (y - 40) ** 2 < 900).astype(np.uint8)
    ids[:4] = [0, *[2] * 79]
    disc, bar = labelled_regions(ids)
    assert len(disc.outline()) < 80 and len(bar.outline()) <= 8


def test_an_import_into_an_augmented_dataset_marks_the_manifest(tmp_path, capsys):
    root, out = make_edited_dataset(tmp_path / 'aug'), tmp_path / 'x.json'
    arguments = ['convert', 'to-coco', str(root), '--edits-only', '--out', str(out)]
    assert main(arguments) == 0
    content = json.loads(out.read_text())
    assert [image['file_name'] for image in content['images']] == [f'a{n}__rust.png' for n in range(3)]
    target = ['--out', str(root / 'ann_dir/train')]
    # unchanged: nothing is written, so nothing is marked
    before = (root / 'manifest.jsonl').read_bytes()
    assert main(['convert', 'coco', str(out), *target, '--overwrite']) == 0
    assert '3 were there already' in capsys.readouterr().out
    assert (root / 'manifest.jsonl').read_bytes() == before
    # one is changed in the annotation program, another rejected since
    content['annotations'][0]['segmentation'] = [[20, 20, 26, 20, 26, 25, 20, 25]]
    out.write_text(json.dumps(content))
    from wtaseg.review.items import find_items
    from wtaseg.review.store import Store

    store = Store(root, find_items(root), 3)
    store.decide(store.items[2], 'rejected', '', store.state(store.items[2]).version)
    assert main(['convert', 'coco', str(out), *target, '--overwrite']) == 0
    printed = capsys.readouterr().out
    assert 'of 1 edits that their labels are drawn' in printed and '1 labels of rejected edits' in printed
    assert [row['relabelled'] for row in edits_of(root)[:2]] == ['drawn', False]
    expected = np.zeros((48, 48), np.uint8)
    expected[20:25, 20:26] = 1
    np.testing.assert_array_equal(pixels(root / 'ann_dir/train/a0__rust.png'), expected)
    assert not (root / 'ann_dir/train/a2__rust.png').exists()


def test_classes_of_a_dataset_of_wta_seg_new_need_not_be_named(dataset, tmp_path):
    (dataset / 'dataset.json').write_text('{"settings": {"classes": ["normal", "dent", "rust"]}}')
    out = tmp_path / 'x.json'
    assert main(['convert', 'to-coco', str(dataset), '--out', str(out)]) == 0
    assert json.loads(out.read_text())['categories'][0] == {'id': 1, 'name': 'dent'}
    before = labels_below(dataset / 'ann_dir')
    shutil.rmtree(dataset / 'ann_dir')
    assert main(['convert', 'coco', str(out), '--out', str(dataset / 'ann_dir/train')]) == 0
    for name, ids in labels_below(dataset / 'ann_dir').items():
        np.testing.assert_array_equal(ids, before[name])


@pytest.mark.parametrize(
    ('spoil', 'more', 'message'),
    [
        (lambda root: None, ['--split', 'val'], 'img_dir/val does not exist'),
        (lambda root: None, ['--edits-only'], 'manifest.jsonl does not exist'),
        (lambda root: (root / 'ann_dir/train/c.png').unlink(), [], 'ann_dir/train/c.png does not exist'),
        (lambda root: write_image(root / 'ann_dir/train/a.png', np.full((40, 60), 7)), [], 'a.png: holds 7'),
        (lambda root: write_image(root / 'ann_dir/train/a.png', np.zeros((4, 6))), [], 'is 6x4 pixels'),
    ],
)
def test_what_can_not_be_exported_is_named(dataset, tmp_path, capsys, spoil, more, message):
    spoil(dataset)
    out = tmp_path / 'x.json'
    assert main(['convert', 'to-coco', str(dataset), '--out', str(out), *more]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('wta-seg convert')]
    assert message in line and not out.exists()
