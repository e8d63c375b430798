"""The formats of labels are told apart, and what can not be told names the flag that says it."""

import json

import numpy as np
import pytest
from own_images import CLASSES, label_map, labelme
from PIL import Image

from wtaseg.new.sources import LabelOptions, detect

SIZE = (40, 60)
OUTLINES = [
    (1, np.array([[5, 5], [25, 5], [25, 8], [5, 8]])),
    (4, np.array([[30, 20], [50, 20], [50, 30], [30, 30]])),
]
LABEL = label_map(SIZE, OUTLINES)


def save(path, pixels, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette)
    image.save(path)


def only(path, classes=CLASSES, **options):
    [source] = detect(path, LabelOptions(classes, **options))
    [job] = source.jobs
    return source, job.make().ids


def test_masks_of_class_ids(tmp_path):
    save(tmp_path / 'a.png', np.where(LABEL == 0, 255, LABEL).astype(np.uint8))
    source, label = only(tmp_path)
    assert source.format == 'masks of class ids'
    np.testing.assert_array_equal(label, np.where(LABEL == 0, 255, LABEL))


def test_indices_of_palette_masks_are_class_ids(tmp_path):
    save(tmp_path / 'a.png', LABEL, palette=[9, 8, 7] * 256)
    source, label = only(tmp_path)
    assert source.format == 'masks of class ids'
    np.testing.assert_array_equal(label, LABEL)


def test_grey_values_need_the_flag_map(tmp_path):
    save(tmp_path / 'a.png', LABEL * 50)
    with pytest.raises(ValueError, match=r'0, 50, 200.*--classes.*--map VALUE=CLASS'):
        only(tmp_path)
    source, label = only(tmp_path, renamed=('0=normal', '50=scratch', '200=burr'))
    assert source.format == 'masks of grey values'
    np.testing.assert_array_equal(label, LABEL)


def test_black_and_white_masks(tmp_path):
    save(tmp_path / 'one' / 'a.png', (LABEL > 0).astype(np.uint8) * 255)
    with pytest.raises(ValueError, match='one folder per class'):
        only(tmp_path / 'one')
    _, label = only(tmp_path / 'one', classes=('normal', 'defect'))
    np.testing.assert_array_equal(label, LABEL > 0)
    for value in (1, 4):
        save(tmp_path / 'each' / CLASSES[value] / 'a.png', (value == LABEL).astype(np.uint8) * 255)
    source, label = only(tmp_path / 'each')
    assert 'one folder per class' in source.format
    np.testing.assert_array_equal(label, LABEL)


def test_colours_of_cvats_label_map(tmp_path):
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[LABEL == 1], colours[LABEL == 4] = (250, 50, 83), (51, 221, 255)
    save(tmp_path / 'SegmentationClass/a.png', colours)
    lines = '# label:color_rgb:parts:actions\nbackground:0,0,0::\nburr:51,221,255::\nscratch:250,50,83::\n'
    (tmp_path / 'labelmap.txt').write_text(lines)
    source, label = only(tmp_path / 'SegmentationClass')
    assert source.format == 'colour masks'
    np.testing.assert_array_equal(label, LABEL)


def test_folders_of_json_may_mix_programs_and_hold_images(tmp_path):
    save(tmp_path / 'a.png', np.zeros((*SIZE, 3), np.uint8))
    (tmp_path / 'a.json').write_text(json.dumps(labelme('a.png', SIZE, OUTLINES)))
    coco = dict(images=[dict(id=1, file_name='b.png', height=40, width=60)], annotations=[], categories=[])
    (tmp_path / 'b.json').write_text(json.dumps(coco))
    sources = detect(tmp_path, LabelOptions(CLASSES))
    assert [source.format.split()[0] for source in sources] == ['LabelMe', 'COCO']
    np.testing.assert_array_equal(sources[0].jobs[0].make().ids, LABEL)
    assert not sources[1].jobs[0].make().ids.any()


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.xml', '<annotation/>', 'nor CVAT'),
        ('a.zip', 'PK', 'can not be read as a ZIP.*unpack it'),
        ('a.csv', 'x', 'folder of the masks'),
        ('a.json', '{"version": 1}', 'neither LabelMe'),
        ('a.json', 'oops', 'no valid JSON'),
    ],
)
def test_other_files_are_refused_with_the_remedy(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        detect(tmp_path / name, LabelOptions(CLASSES))
    with pytest.raises(FileNotFoundError, match='no such file'):
        detect(tmp_path / 'nothing', LabelOptions(CLASSES))


def test_photographs_are_no_masks(tmp_path):
    save(tmp_path / 'a.png', np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8))
    with pytest.raises(ValueError, match=r'2[0-9]* colours in 1 files.*photographs'):
        only(tmp_path)
