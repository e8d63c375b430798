"""The rules by which image files are read: ordinary ones as mmcv does, all others upright and in 8 bits."""

import io
import warnings

import mmcv
import numpy as np
import pytest
from image_samples import STORED, encode, encode_deep, encode_tiff, scene
from PIL import Image

from mmseg.datasets import BaseSegDataset, WTADataset
from mmseg.datasets.check import check_dataset, check_files
from mmseg.datasets.image_files import (
    decode_image,
    follows_rules,
    match_images,
    read_header,
    scale_to_8_bits,
    turn_upright,
)
from mmseg.datasets.transforms import LoadAnnotations, LoadImageFromFile

SCENE = scene()
BGR = SCENE[..., ::-1]


def ordinary() -> dict[str, bytes]:
    alpha = np.dstack([SCENE, np.arange(20 * 32, dtype=np.uint8).reshape(20, 32)])
    palette = Image.fromarray(SCENE).quantize(8)
    grey = np.array(Image.fromarray(SCENE).convert('L'))
    return {
        'jpeg': encode(SCENE, 'JPEG'),
        'grey jpeg': encode(grey, 'JPEG'),
        'png': encode(SCENE, 'PNG'),
        'grey png': encode(grey, 'PNG'),
        'rgba png': encode(alpha, 'PNG'),
        'palette png': encode(np.array(palette.convert('RGB')), 'PNG'),
        'bmp': encode(SCENE, 'BMP'),
        'webp': encode(SCENE, 'WEBP'),
        'tiff': encode(SCENE, 'TIFF'),
    }


@pytest.mark.parametrize('kind', ordinary())
@pytest.mark.parametrize('color_type', ['color', 'grayscale', 'unchanged', 'color_ignore_orientation'])
def test_an_ordinary_image_is_mmcvs_to_the_bit(kind, color_type):
    content = ordinary()[kind]
    expected = mmcv.imfrombytes(content, flag=color_type)
    result = decode_image(content, color_type)
    assert result.dtype == expected.dtype == np.uint8
    np.testing.assert_array_equal(result, expected)


def test_ordinary_files_take_the_short_path():
    assert not any(follows_rules(content) for kind, content in ordinary().items() if kind != 'tiff')


@pytest.mark.parametrize('orientation', STORED)
@pytest.mark.parametrize('form', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
@pytest.mark.parametrize('color_type', ['color', 'unchanged', 'grayscale'])
def test_every_orientation_is_turned_upright(orientation, form, color_type, tmp_path):
    content = encode(SCENE, form, orientation)
    result = decode_image(content, color_type)
    expected = decode_image(encode(SCENE, form), color_type)
    assert result.shape[:2] == (20, 32)
    # JPEG's blocks lie differently in an image that is stored turned
    np.testing.assert_allclose(result.astype(int), expected, atol=30 if form == 'JPEG' else 0)
    if color_type != 'unchanged':
        np.testing.assert_array_equal(result, mmcv.imfrombytes(content, flag=color_type))
    path = tmp_path / 'image'
    path.write_bytes(content)
    head = read_header(path)
    assert head.size == (32, 20) and head.orientation == orientation
    assert head.stored_size == ((20, 32) if orientation > 4 else (32, 20))


def test_turning_inverts_storing():
    for orientation, store in STORED.items():
        np.testing.assert_array_equal(turn_upright(store(SCENE), orientation), SCENE)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('bits', [10, 12, 14, 16])
def test_deep_images_use_all_of_eight_bits(suffix, bits):
    top = 2**bits - 1
    grey = np.linspace(0, top, 20 * 32).round().astype(np.uint16).reshape(20, 32)
    for pixels in (grey, np.dstack([grey, grey // 2, grey // 4])):
        content = encode_deep(pixels, suffix)
        expected = np.round(np.atleast_3d(pixels) / top * 255)
        for value_range in (None, (0, top)):
            result = decode_image(content, 'color', value_range)
            assert result.shape == (20, 32, 3) and result.dtype == np.uint8
            np.testing.assert_allclose(result, np.broadcast_to(expected, result.shape), atol=1)


def test_value_range_scales_all_images_alike():
    dark, bright = (np.full((4, 4), value, np.uint16) for value in (1000, 3000))
    means = [decode_image(encode_deep(image, '.png'), 'color', (0, 4000)).mean() for image in (dark, bright)]
    np.testing.assert_allclose(means, [64, 191], atol=1)
    # the file's own range stretches each of them
    dark[0, 0], bright[0, 0] = 0, 4095
    assert decode_image(encode_deep(dark, '.png')).max() == 255
    assert scale_to_8_bits(np.array([-5.0, 0.0, 2.0, 9.0]), (0, 4)).tolist() == [0, 0, 128, 255]
    with pytest.raises(ValueError, match='not finite'):
        scale_to_8_bits(np.array([np.nan, 1.0]))
    with pytest.raises(ValueError, match=r'value_range=\(5, 5\)'):
        LoadImageFromFile(value_range=(5, 5))


def test_eight_bits_are_never_scaled():
    content = encode(SCENE // 4, 'PNG')
    np.testing.assert_array_equal(decode_image(content, value_range=(0, 10)), BGR // 4)


@pytest.mark.parametrize('form', ['JPEG', 'TIFF'])
def test_cmyk_is_converted(form):
    file = io.BytesIO()
    Image.fromarray(SCENE).convert('CMYK').save(file, form)
    expected = np.array(Image.open(file).convert('RGB'))
    np.testing.assert_allclose(decode_image(file.getvalue())[..., ::-1].astype(int), expected, atol=2)


def test_transparency_is_dropped_not_blended():
    alpha = np.dstack([SCENE, SCENE[..., 0] // 2])
    for form in ('PNG', 'WEBP', 'TIFF'):
        options = dict(exact=True) if form == 'WEBP' else {}
        content = encode(alpha, form, **options)
        np.testing.assert_array_equal(decode_image(content), BGR)
        assert decode_image(content, 'unchanged').shape == (20, 32, 4)


@pytest.mark.parametrize('channels', [4, 5, 8])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('planes', ['contig', 'separate'])
def test_many_channels(channels, dtype, planes):
    pixels = np.arange(20 * 32 * channels, dtype=dtype).reshape(20, 32, channels)
    if dtype == np.uint16:
        pixels *= 6
    stored = pixels if planes == 'contig' else np.moveaxis(pixels, -1, 0)
    content = encode_tiff(stored, photometric='minisblack', planarconfig=planes)
    result = decode_image(content, 'unchanged')
    assert result.shape == (20, 32, channels) and result.dtype == np.uint8
    expected = pixels if dtype == np.uint8 else scale_to_8_bits(pixels)
    np.testing.assert_array_equal(result, expected)
    with pytest.raises(ValueError, match=rf'{channels} channels.*color_type="unchanged".*in_channels'):
        decode_image(content)


def test_float_tiff_is_scaled():
    pixels = np.linspace(-1, 1, 20 * 32, dtype=np.float32).reshape(20, 32)
    result = decode_image(encode_tiff(pixels))
    assert result.shape == (20, 32, 3) and (result.min(), result.max()) == (0, 255)


def test_names_in_any_case_and_two_of_one_stem():
    names = ['b.JPG', 'a b.PNG', 'sub/c.Tiff', '가.webp', 'd.bmp', 'e.jpeg', 'notes.txt', 'e.json']
    assert list(match_images(names)) == ['a b', 'b', 'd', 'e', 'sub/c', '가']
    assert match_images(['x.png', 'y.PNG'], '.png') == {'x': 'x.png'}
    assert set(match_images(['x.png', 'y.tif'], ('.png', '.tif'))) == {'x', 'y'}
    with pytest.raises(ValueError, match=r'p\.JPG and p\.png have the same stem'):
        match_images(['p.JPG', 'p.png'])


@pytest.fixture
def turned(tmp_path):
    """A dataset of one JPEG with EXIF rotation per split: its label fits the upright image in train, the stored one in val."""
    label = np.zeros((20, 32), np.uint8)
    label[2:5, 3:9] = 1
    label[15:, 30:] = 2
    for split, stored in (('train', label), ('val', STORED[6](label))):
        for folder in ('img_dir', 'ann_dir'):
            (tmp_path / folder / split).mkdir(parents=True)
        noise = np.random.default_rng(len(split)).integers(0, 255, (20, 32, 3), dtype=np.uint8)
        (tmp_path / 'img_dir' / split / '사진 1.JPG').write_bytes(encode(noise, 'JPEG', 6))
        Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / 'ann_dir' / split / '사진 1.png')
    return tmp_path, label


def test_a_label_belongs_to_the_upright_image_and_a_stored_one_is_turned(turned):
    root, label = turned
    pipeline = [LoadImageFromFile(), LoadAnnotations()]
    for split in ('train', 'val'):
        prefix = dict(img_path=f'img_dir/{split}', seg_map_path=f'ann_dir/{split}')
        dataset = WTADataset(data_root=str(root), data_prefix=prefix, pipeline=pipeline)
        for _ in range(3):  # from the file and from memory
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                item = dataset[0]
            assert item['img'].shape == (20, 32, 3)
            np.testing.assert_array_equal(item['gt_seg_map'], label)


def test_the_loader_gives_notice_of_a_turned_label(turned):
    root, _ = turned
    prefix = dict(img_path='img_dir/val', seg_map_path='ann_dir/val')
    pipeline = [LoadImageFromFile(), LoadAnnotations()]
    dataset = WTADataset(data_root=str(root), data_prefix=prefix, pipeline=pipeline)
    with pytest.warns(UserWarning, match=r'사진 1\.png.*EXIF rotation; it is turned'):
        dataset[0]


def test_check_accepts_right_labels_and_notes_stored_ones(turned):
    root, label = turned
    report = check_dataset(root, workers=1)
    assert report.ok
    assert [(n.kind, n.files[1]) for n in report.notices] == [
        ('label not upright', str(root / 'ann_dir/val/사진 1.png'))
    ]
    pair = (str(root / 'img_dir/train/사진 1.JPG'), str(root / 'ann_dir/train/사진 1.png'))
    check_files([pair], 3)
    Image.fromarray(label[:-1]).save(pair[1])
    with pytest.raises(ValueError, match=r'image is 32 x 20 \(stored as 20 x 32, with an EXIF rotation\)'):
        check_files([pair], 3)


def test_check_notes_deep_images_and_names_two_of_one_stem(turned):
    root, label = turned
    deep = np.random.default_rng(0).integers(0, 4095, (20, 32)).astype(np.uint16)
    (root / 'img_dir/train/deep.png').write_bytes(encode_deep(deep, '.png'))
    Image.fromarray(label).save(root / 'ann_dir/train/deep.png')
    kinds = {notice.kind for notice in check_dataset(root, workers=1).notices}
    assert kinds == {'label not upright', 'more than 8 bits'}
    kinds = {notice.kind for notice in check_dataset(root, workers=1, value_range=(0, 4095)).notices}
    assert kinds == {'label not upright'}
    (root / 'img_dir/train/deep.jpg').write_bytes(encode(SCENE, 'JPEG'))
    [problem] = check_dataset(root, workers=1).problems
    assert (
        problem.kind == 'two images of one stem' and 'deep.jpg' in str(problem) and 'deep.png' in str(problem)
    )
    prefix = dict(img_path='img_dir/train', seg_map_path='ann_dir/train')
    with pytest.raises(ValueError, match=r'deep\.jpg and deep\.png have the same stem'):
        WTADataset(data_root=str(root), data_prefix=prefix)


def test_check_notes_pages_that_are_not_read(turned):
    root, label = turned
    stack = encode_tiff(np.zeros((5, 20, 32), np.uint8), photometric='minisblack')
    (root / 'img_dir/train/stack.tif').write_bytes(stack)
    Image.fromarray(label).save(root / 'ann_dir/train/stack.png')
    [notice] = [notice for notice in check_dataset(root, workers=1).notices if 'stack' in notice.files[0]]
    assert notice.kind == 'several pages' and 'has 5 pages' in str(notice)


def test_a_dataset_of_a_config_alone(turned):
    root, _ = turned
    metainfo = dict(classes=('normal', 'scratch', 'dent', 'rust'), palette=[[i, i, i] for i in range(4)])
    prefix = dict(img_path='img_dir', seg_map_path='ann_dir')
    list_file = root / 'list.txt'
    list_file.write_text('val/사진 1\n')
    options = dict(data_root=str(root), data_prefix=prefix, metainfo=metainfo, img_suffix=None)
    dataset = BaseSegDataset(**options, ann_file='list.txt')
    assert [item['img_path'] for item in dataset] == [str(root / 'img_dir/val/사진 1.JPG')]
    assert dataset.metainfo['classes'] == metainfo['classes']
    assert len(BaseSegDataset(**options)) == 2
    list_file.write_text('val/nothing\n')
    with pytest.raises(FileNotFoundError, match="lists 'val/nothing'"):
        BaseSegDataset(**options, ann_file='list.txt')
