"""Conversion of small files with known pixels, and every refusal with its remedy."""

import base64
import io
import json

import numpy as np
import pytest
from image_samples import STORED, encode
from PIL import Image

from wtaseg.cli import convert as convert_labels
from wtaseg.labels.shapes import decode_rle, fill_polygon

RED, GREEN = (255, 0, 0), (0, 255, 0)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def read(path):
    with Image.open(path) as image:
        assert image.mode == 'L'
        return np.array(image)


@pytest.fixture
def convert(tmp_path, capsys):
    """A function that runs the command with ``--out tmp_path/out``; returns the labels by name, or the error message."""

    def run(*args, refused=False):
        out = tmp_path / 'out'
        status = convert_labels.main([*map(str, args), '--out', str(out)])
        printed = capsys.readouterr()
        assert status == (1 if refused else 0), printed.err
        assert not list(out.rglob('.*'))
        if refused:
            return printed.err
        return {p.relative_to(out).as_posix(): read(p) for p in out.rglob('*.png')}

    return run


def colour_mask():
    pixels = np.zeros((4, 5, 3), np.uint8)
    pixels[0, :2] = RED
    pixels[3, 4] = GREEN
    return pixels


EXPECTED = np.zeros((4, 5), np.uint8)
EXPECTED[0, :2], EXPECTED[3, 4] = 1, 2


# Masks


def test_colours_of_the_dataset(convert, tmp_path):
    save(tmp_path / 'masks/a/x.png', colour_mask())
    labels = convert('palette', tmp_path / 'masks')
    assert list(labels) == ['a/x.png']
    np.testing.assert_array_equal(labels['a/x.png'], EXPECTED)


def test_given_colours_and_ignore(convert, tmp_path):
    pixels = colour_mask()
    pixels[1, 1] = (1, 2, 3)
    pixels[2, 2] = (9, 9, 9)
    save(tmp_path / 'masks/x.bmp', pixels)
    colours = ['attached=255,0,0', 'ignore=1,2,3', 'defect=9,9,9', 'broken=0,255,0']
    assert 'unknown value 0,0,0' in convert('palette', tmp_path / 'masks', '--colour', *colours, refused=True)
    colours[2] = 'defect=0,0,0'
    message = convert('palette', tmp_path / 'masks', '--colour', *colours, refused=True)
    assert 'unknown value 9,9,9 (1 px)' in message
    pixels[2, 2] = 0
    save(tmp_path / 'masks/x.bmp', pixels)
    labels = convert('palette', tmp_path / 'masks', '--colour', *colours)['x.png']
    assert labels[1, 1] == 255 and labels[0, 0] == 1 and labels[3, 4] == 2 and labels[2, 2] == 0


def test_a_palette_png_is_converted_by_its_colours(convert, tmp_path):
    """Index 7 has the colour red, so it is attached."""
    indices = np.zeros((4, 5), np.uint8)
    indices[0, :2], indices[3, 4] = 7, 3
    image = Image.fromarray(indices)
    palette = np.zeros((256, 3), np.uint8)
    palette[7], palette[3] = RED, GREEN
    image.putpalette(palette.ravel().tolist())
    (tmp_path / 'masks').mkdir()
    image.save(tmp_path / 'masks/x.png')
    np.testing.assert_array_equal(convert('palette', tmp_path / 'masks')['x.png'], EXPECTED)


def test_an_unknown_colour_is_named_and_the_rest_is_converted(convert, tmp_path):
    pixels = colour_mask()
    pixels[2, 2:4] = (10, 20, 30)
    save(tmp_path / 'masks/bad.png', pixels)
    save(tmp_path / 'masks/good.png', colour_mask())
    message = convert('palette', tmp_path / 'masks', refused=True)
    assert f'{tmp_path / "masks/bad.png"}: unknown value 10,20,30 (2 px)' in message
    assert '--colour <class>=10,20,30' in message
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['good.png']


def test_a_smoothed_mask_has_its_own_remedy(convert, tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 0] = np.arange(64).reshape(8, 8)
    save(tmp_path / 'masks/x.png', pixels)
    assert 'without anti-aliasing' in convert('palette', tmp_path / 'masks', refused=True)


def test_binary_masks_of_two_classes(convert, tmp_path):
    first, second = np.zeros((4, 5)), np.zeros((4, 5))
    first[0, :3], second[0, 2], second[3, 4] = 255, 255, 255
    save(tmp_path / 'a/x.png', first)
    save(tmp_path / 'b/x.png', second)
    save(tmp_path / 'a/y.png', first)
    labels = convert('binary', f'attached={tmp_path / "a"}', f'broken={tmp_path / "b"}')
    expected = EXPECTED.copy()
    expected[0, 2] = 2  # the later class overwrites the earlier
    np.testing.assert_array_equal(labels['x.png'], expected)
    assert labels['y.png'].sum() == 3


def test_binary_refuses_other_values_and_sizes(convert, tmp_path):
    save(tmp_path / 'a/x.png', np.full((4, 5), 128))
    save(tmp_path / 'a/y.png', np.zeros((4, 5)))
    save(tmp_path / 'b/y.png', np.zeros((4, 6)))
    message = convert('binary', f'attached={tmp_path / "a"}', f'broken={tmp_path / "b"}', refused=True)
    assert 'a/x.png: 20 pixels are neither 0 nor 255, for one 128,128,128' in message
    assert 'b/y.png: is 6 x 4, but' in message and 'same size' in message


def test_values(convert, tmp_path):
    save(tmp_path / 'masks/x.png', EXPECTED * 100)
    labels = convert('values', tmp_path / 'masks', '--map', '0=defect', '100=attached', '200=broken')
    np.testing.assert_array_equal(labels['x.png'], EXPECTED)
    message = convert('values', tmp_path / 'masks', '--map', '0=0', '100=1', '--overwrite', refused=True)
    assert 'x.png: unknown value 200 (1 px), expected 0, 100' in message and '--map 200=<class>' in message


def test_existing_labels_are_not_replaced(convert, tmp_path):
    save(tmp_path / 'masks/x.png', colour_mask())
    convert('palette', tmp_path / 'masks')
    save(tmp_path / 'masks/x.png', 0 * colour_mask())
    assert '--overwrite' in convert('palette', tmp_path / 'masks', refused=True)
    assert read(tmp_path / 'out/x.png').any()
    assert not convert('palette', tmp_path / 'masks', '--overwrite')['x.png'].any()


def test_damaged_mask(convert, tmp_path):
    save(tmp_path / 'masks/x.png', colour_mask())
    path = tmp_path / 'masks/x.png'
    path.write_bytes(path.read_bytes()[:40])
    assert f'{path}: can not be decoded' in convert('palette', tmp_path / 'masks', refused=True)


# Shapes


def test_polygon_takes_pixels_whose_centre_is_inside():
    """The square from 1 to 4 holds the 3 x 3 pixels 1..3; shifted by 0.6 still three of each axis, 2..4."""
    for shift, first in ((0.0, 1), (0.4, 1), (0.6, 2)):
        labels = np.zeros((8, 8), np.uint8)
        corners = np.array([[1, 1], [4, 1], [4, 4], [1, 4]]) + shift
        fill_polygon(labels, corners, 2)
        expected = np.zeros((8, 8), np.uint8)
        expected[first : first + 3, first : first + 3] = 2
        np.testing.assert_array_equal(labels, expected)


def test_polygon_agrees_with_exact_area():
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    labels = np.zeros((80, 80), np.uint8)
    fill_polygon(labels, np.stack([40.3 + 25 * np.cos(angle), 39.8 + 25 * np.sin(angle)], 1), 1)
    assert labels.sum() == pytest.approx(np.pi * 625, rel=0.01)


def test_polygon_beyond_the_image_and_thin_polygon():
    labels = np.zeros((4, 4), np.uint8)
    fill_polygon(labels, np.array([[-9, -9], [2, -9], [2, 2], [-9, 2]]), 1)
    assert labels.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]
    thin = np.zeros((4, 9), np.uint8)
    fill_polygon(thin, np.array([[0, 1.1], [8.9, 1.1], [8.9, 1.2]]), 1)
    assert thin.sum() == 9 and thin[1].all()


def compress(runs):
    """COCO's compressed form of run lengths."""
    text = ''
    for i, run in enumerate(runs):
        value, more = run - (runs[i - 2] if i > 2 else 0), True
        while more:
            bits, value = value & 0x1F, value >> 5
            more = value != (-1 if bits & 0x10 else 0)
            text += chr((bits | 0x20 if more else bits) + 48)
    return text


def test_run_lengths():
    # down the columns of a 2 x 3 image: 1 zero, 3 ones, 2 zeros.
    expected = np.array([[0, 1, 0], [1, 1, 0]], bool)
    np.testing.assert_array_equal(decode_rle([1, 3, 2], 2, 3), expected)
    mask = np.random.default_rng(0).random((37, 53)) > 0.8
    mask[:, 10:40] = 0
    changes = np.flatnonzero(np.diff(mask.T.ravel().astype(int), prepend=0)).tolist()
    runs = np.diff([0, *changes, mask.size]).tolist()
    np.testing.assert_array_equal(decode_rle(compress(runs), 37, 53), mask)
    with pytest.raises(ValueError, match='add up to 5'):
        decode_rle([1, 4], 2, 3)


# LabelMe


def labelme(path, shapes, **kwargs):
    path.parent.mkdir(exist_ok=True)
    content = dict(
        shapes=shapes, imagePath=f'..\\img\\{path.stem}.jpg', imageHeight=8, imageWidth=8, **kwargs
    )
    path.write_text(json.dumps(content))


def shape(label, points, kind='polygon', **kwargs):
    return dict(label=label, points=points, shape_type=kind, **kwargs)


SQUARE = [[1, 1], [4, 1], [4, 4], [1, 4]]


def stamp_of(pixels):
    """A mask as LabelMe stores it."""
    file = io.BytesIO()
    Image.fromarray(np.array(pixels, np.uint8)).save(file, 'PNG')
    return base64.b64encode(file.getvalue()).decode()


STAMP = stamp_of([[255, 0], [255, 255]])
SQUARE_STAMP = stamp_of([[255, 255], [255, 255]])


def test_labelme_shapes(convert, tmp_path):
    shapes = [
        shape('attached', SQUARE),
        shape('crack', [[6, 6], [3, 3]], 'rectangle'),
        shape('attached', [[6.5, 1.5], [6.5, 2.6]], 'circle'),
        shape('broken', [[0, 7], [2, 7]], 'linestrip'),
        shape('broken', [[0, 4], [1, 5]], 'mask', mask=STAMP),
    ]
    labelme(tmp_path / 'json/x.json', shapes)
    labels = convert('labelme', tmp_path / 'json', '--map', 'crack=broken', '--line-width', '1')['x.png']
    expected = np.zeros((8, 8), np.uint8)
    expected[1:4, 1:4] = 1
    expected[3:6, 3:6] = 2
    # Radius 1.1 around the centre of pixel (6, 1): that and its four neighbours.
    expected[1, 5:8], expected[0:3, 6] = 1, 1
    expected[7, 0:3] = 2
    expected[4, 0], expected[5, 0:2] = 2, 2
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize(
    ('bad', 'message'),
    [
        (shape('scratch', SQUARE), "unknown class name 'scratch', expected defect, attached, broken"),
        (shape('broken', [[1, 1], [2, 2]]), 'has 2 usable points, expected at least 3'),
        (shape('broken', [[1, 1], [2, 2]], 'line'), '--line-width'),
        (shape('broken', [[1, 1]], 'point'), 'redraw it as a polygon'),
        (shape('broken', [[1, 1], [2, 2]], 'mask'), 'can not be used'),
        (
            shape('broken', [[9, 1], [12, 1], [12, 3]]),
            "shape 1 (polygon 'broken') lies outside the image: (9, 1)",
        ),
        (shape('broken', [[-5, 1], [-3, 2]], 'rectangle'), 'lies outside the image'),
        (shape('broken', [[20, 1], [21, 2]], 'circle'), 'lies outside the image'),
        (shape('broken', [[1, 1], [1e12, 2], [3, 3]]), 'usable points'),
        (
            shape('broken', [[-12, -12], [-11, -11]], 'mask', mask=STAMP),
            'at (-12, -12) lies outside the image',
        ),
        (shape('broken', [[8, 0], [9, 1]], 'mask', mask=STAMP), 'lies outside the image'),
    ],
)
def test_labelme_refusals(convert, tmp_path, bad, message):
    labelme(tmp_path / 'json/x.json', [bad])
    printed = convert('labelme', tmp_path / 'json', refused=True)
    assert message in printed and str(tmp_path / 'json/x.json') in printed


@pytest.mark.parametrize(
    ('x', 'y', 'rows', 'columns'), [(-1, -1, [0], [0]), (7, 6, [6, 7], [7]), (6, -1, [0], [6, 7])]
)
def test_a_labelme_mask_over_the_border_is_clipped(convert, tmp_path, capsys, x, y, rows, columns):
    labelme(tmp_path / 'json/x.json', [shape('broken', [[x, y], [x + 1, y + 1]], 'mask', mask=SQUARE_STAMP)])
    labels = convert('labelme', tmp_path / 'json')['x.png']
    expected = np.zeros((8, 8), np.uint8)
    expected[np.ix_(rows, columns)] = 2
    np.testing.assert_array_equal(labels, expected)


def test_shapes_over_the_border_are_counted(tmp_path, capsys):
    shapes = [shape('broken', [[-3, 1], [4, 1], [4, 9.5]]), shape('broken', [[0, 0], [8, 0], [8, 8.5]])]
    labelme(tmp_path / 'json/x.json', shapes)
    assert convert_labels.main(['labelme', str(tmp_path / 'json'), '--out', str(tmp_path / 'out')]) == 0
    assert '1 shapes of 1 label maps reach beyond the image and were clipped' in capsys.readouterr().err


def test_a_rerun_makes_what_is_missing(convert, tmp_path, capsys):
    """What an interrupted run left: one label map and one temporary file."""
    for name in 'xy':
        save(tmp_path / f'masks/{name}.png', colour_mask())
    convert('palette', tmp_path / 'masks')
    complete = (tmp_path / 'out/y.png').read_bytes()
    (tmp_path / 'out/y.png').rename(tmp_path / 'out/.y.png.1234-0123abcd.part')
    convert('palette', tmp_path / 'masks')
    assert (tmp_path / 'out/y.png').read_bytes() == complete
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['x.png', 'y.png']


def test_labelme_without_size_or_json(convert, tmp_path):
    (tmp_path / 'json').mkdir()
    assert 'holds no .json file' in convert('labelme', tmp_path / 'json', refused=True)
    (tmp_path / 'json/x.json').write_text('{"shapes": []}')
    assert 'imageHeight x imageWidth is None x None' in convert('labelme', tmp_path / 'json', refused=True)
    (tmp_path / 'json/x.json').write_text('{"shapes"')
    assert 'is no valid JSON' in convert('labelme', tmp_path / 'json', refused=True)


# COCO


def coco(path, annotations, **kwargs):
    content = dict(
        images=[
            dict(id=1, file_name='a/x.jpg', height=8, width=8),
            dict(id=2, file_name='y.jpg', height=4, width=4),
        ],
        categories=[dict(id=5, name='attached'), dict(id=9, name='broken'), dict(id=11, name='unused')],
        annotations=[dict(id=i, **a) for i, a in enumerate(annotations, 1)],
    )
    path.write_text(json.dumps(content | kwargs))
    return path


def test_coco(convert, tmp_path):
    polygons = [[float(v) for p in SQUARE for v in p], [5, 5, 7, 5, 7, 7, 5, 7]]
    painted = dict(size=[8, 8], counts=compress([8 * 7, 2, 6]))
    annotations = [
        dict(image_id=1, category_id=5, segmentation=polygons, iscrowd=0),
        dict(image_id=1, category_id=9, segmentation=painted, iscrowd=1),
    ]
    source = coco(tmp_path / 'instances.json', annotations)
    labels = convert('coco', source)
    expected = np.zeros((8, 8), np.uint8)
    expected[1:4, 1:4], expected[5:7, 5:7], expected[0:2, 7] = 1, 1, 2
    np.testing.assert_array_equal(labels['a/x.png'], expected)
    assert labels['y.png'].shape == (4, 4) and not labels['y.png'].any()
    crowd = convert('coco', source, '--ignore-crowd', '--overwrite')['a/x.png']
    assert (crowd == 255).sum() == 2 and (crowd == 2).sum() == 0


@pytest.mark.parametrize(
    ('annotation', 'changes', 'message'),
    [
        (
            dict(image_id=1, category_id=11, segmentation=[[0, 0, 1, 0, 1, 1]]),
            {},
            "unknown class name 'unused'",
        ),
        (
            dict(image_id=1, category_id=4, segmentation=[[0, 0, 1, 0, 1, 1]]),
            {},
            'category_id 4 is not listed',
        ),
        (
            dict(image_id=7, category_id=5, segmentation=[[0, 0, 1, 0, 1, 1]]),
            {},
            'image_id 7, which is not listed',
        ),
        (dict(image_id=1, category_id=5, segmentation=[]), {}, 'has no segmentation'),
        (dict(image_id=1, category_id=5, segmentation=[[0, 0, 1]]), {}, 'usable points'),
        (dict(image_id=1, category_id=5, segmentation=dict(size=[8, 8], counts=[3])), {}, 'add up to 3'),
        (
            dict(image_id=1, category_id=5, segmentation=dict(size=[4, 16], counts=[64])),
            {},
            'expected [8, 8]',
        ),
        (dict(image_id=1, category_id=5), dict(categories=None), "no list 'categories'"),
        (
            dict(image_id=1, category_id=5),
            dict(images=[dict(id=1, file_name='../x.png', height=1, width=1)]),
            'points outside',
        ),
        (
            dict(image_id=1, category_id=5),
            dict(images=[dict(id=1, file_name=name, height=1, width=1) for name in ('x.png', 'y.png')]),
            'two entries of images have the id 1: ',
        ),
        (
            dict(image_id=1, category_id=5),
            dict(categories=[dict(id=5, name='attached'), dict(id=5, name='broken')]),
            'two entries of categories have the id 5: ',
        ),
        (
            dict(image_id=1, category_id=5),
            dict(images=[dict(id=1, height=1, width=1)]),
            'image 1 has the file_name None',
        ),
        (
            dict(image_id=1, category_id=5, segmentation=[[0, 0, 1, 0, 1, 1], [9, 9, 12, 9, 12, 12]]),
            {},
            'annotation 1 of a/x lies outside the image: (9, 9) to (12, 12)',
        ),
        (
            dict(image_id=1, category_id=5, segmentation=dict(size=[8, 8], counts='o' * 50)),
            {},
            'no number can be',
        ),
    ],
)
def test_coco_refusals(convert, tmp_path, annotation, changes, message):
    source = coco(tmp_path / 'instances.json', [annotation], **changes)
    printed = convert('coco', source, refused=True)
    assert message in printed and str(source) in printed


# Flags


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['palette', 'nowhere'], 'is no folder'),
        (['palette', 'masks', '--colour', 'attached=1,2'], 'expected R,G,B'),
        (['palette', 'masks', '--colour', 'attached=0,255,0'], 'stands for two classes'),
        (['palette', 'masks', '--classes', 'a', 'b'], 'No colours are known'),
        (['palette', 'masks', '--dataset', 'Nothing'], 'not registered'),
        (['values', 'masks', '--map', '0=rust'], "'rust' is no class"),
        (['values', 'masks', '--map', '0'], 'expected NAME=VALUE'),
        (['values', 'masks', '--map', '0=0', '0=1'], 'given twice'),
        (['binary', 'attached=nowhere'], 'is no folder'),
        (['coco', 'nowhere.json'], 'does not exist'),
    ],
)
def test_flags_are_refused(convert, tmp_path, monkeypatch, args, message):
    save(tmp_path / 'masks/x.png', colour_mask())
    monkeypatch.chdir(tmp_path)
    assert message in convert(*args, refused=True)
    assert not (tmp_path / 'out').exists()


# Images


def test_labels_are_fitted_to_their_images(convert, tmp_path):
    """One image has EXIF rotation and a mask of its stored form, one a right mask, one none."""
    content = encode(np.zeros((4, 5, 3), np.uint8), 'JPEG', 6)
    (tmp_path / 'photos').mkdir()
    for name in ('가 1.JPG', 'b.jpg', 'c.jpg'):
        (tmp_path / 'photos' / name).write_bytes(content)
    save(tmp_path / 'masks/가 1.png', STORED[6](colour_mask()))
    save(tmp_path / 'masks/b.png', colour_mask())
    args = ('palette', tmp_path / 'masks', '--images', tmp_path / 'photos')
    error = convert(*args, refused=True)
    assert '1 of 3 images have no label' in error and '--empty-label missing' in error
    labels = convert(*args, '--empty-label', 'missing')
    assert labels.keys() == {'가 1.png', 'b.png', 'c.png'}
    np.testing.assert_array_equal(labels['가 1.png'], EXPECTED)
    np.testing.assert_array_equal(labels['b.png'], EXPECTED)
    assert labels['c.png'].shape == (4, 5) and not labels['c.png'].any()


def test_a_label_of_another_size_and_a_flag_alone_are_refused(convert, tmp_path):
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos/b.png').write_bytes(encode(np.zeros((7, 5, 3), np.uint8), 'PNG'))
    save(tmp_path / 'masks/b.png', colour_mask())
    args = ('palette', tmp_path / 'masks')
    assert 'its label 5 x 4' in convert(*args, '--images', tmp_path / 'photos', refused=True)
    assert 'needs --images' in convert(*args, '--empty-label', 'missing', refused=True)


def test_an_unknown_name_points_to_the_flag_classes(convert, tmp_path):
    shape = dict(label='burr', points=[[0, 0], [2, 0], [2, 2]], shape_type='polygon')
    content = dict(imagePath='a.png', imageHeight=4, imageWidth=5, shapes=[shape])
    (tmp_path / 'a.json').write_text(json.dumps(content))
    error = convert('labelme', tmp_path, refused=True)
    assert '--classes' in error and "--map 'burr'=" in error
    assert convert('labelme', tmp_path, '--classes', 'normal', 'burr')['a.png'].any()
