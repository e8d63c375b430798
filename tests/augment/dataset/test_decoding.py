"""augment reads image files as training does: the same pixels, the same labels."""

import numpy as np
import pytest
from image_samples import STORED, encode, encode_deep, encode_tiff, scene
from PIL import Image

from augment.dataset.decoding import IMAGE_SUFFIXES, decode_image
from augment.dataset.reading import read_dataset
from augment.dataset.writing import copy_originals
from mmseg.datasets import image_files

SCENE = scene()
GREY = SCENE[..., 0]
DEEP = np.linspace(100, 4000, 20 * 32).astype(np.uint16).reshape(20, 32)


def files() -> dict[str, bytes]:
    alpha = np.dstack([SCENE, GREY // 2])
    result = {
        f'{form} {orientation}': encode(SCENE, form, orientation)
        for form in ('JPEG', 'PNG', 'WEBP', 'TIFF')
        for orientation in STORED
    }
    for form in ('PNG', 'BMP', 'JPEG', 'TIFF'):
        result[f'grey {form}'] = encode(GREY, form)
    result |= {'rgba': encode(alpha, 'PNG'), 'rgba tiff': encode(alpha, 'TIFF')}
    result |= {f'deep {suffix}': encode_deep(DEEP, suffix) for suffix in ('.png', '.tif')}
    colour = np.dstack([DEEP, DEEP // 2, DEEP // 3])
    result |= {f'deep colour {suffix}': encode_deep(colour, suffix) for suffix in ('.png', '.tif')}
    result['float'] = encode_tiff(np.linspace(-1, 1, 640, dtype=np.float32).reshape(20, 32))
    return result


@pytest.mark.parametrize('kind', files())
@pytest.mark.parametrize('value_range', [None, (0, 4095)])
def test_both_packages_read_the_same_pixels(kind, value_range):
    content = files()[kind]
    expected = image_files.decode_image(content, 'color', value_range)[..., ::-1]
    np.testing.assert_array_equal(decode_image(content, value_range), expected)


def test_cmyk_differs_by_rounding_only():
    import io

    file = io.BytesIO()
    Image.fromarray(SCENE).convert('CMYK').save(file, 'JPEG')
    expected = image_files.decode_image(file.getvalue())[..., ::-1].astype(int)
    np.testing.assert_allclose(decode_image(file.getvalue()), expected, atol=2)


def test_both_packages_know_the_same_endings():
    assert IMAGE_SUFFIXES == image_files.IMAGE_SUFFIXES


def test_many_channels_are_refused():
    with pytest.raises(ValueError, match='has 5 channels'):
        decode_image(encode_tiff(np.zeros((20, 32, 5), np.uint8), planarconfig='contig'))


def test_a_label_of_the_stored_image_is_turned_here_and_in_the_copy(tmp_path, caplog):
    label = np.zeros((20, 32), np.uint8)
    label[2:5, 3:9] = 1
    for kind in ('img_dir', 'ann_dir'):
        (tmp_path / 'in' / kind / 'train').mkdir(parents=True)
    for name, orientation in (('upright', 1), ('stored', 6)):
        (tmp_path / f'in/img_dir/train/{name}.JPG').write_bytes(encode(SCENE, 'JPEG', 6))
        stored = np.ascontiguousarray(STORED[orientation](label))
        Image.fromarray(stored).save(tmp_path / f'in/ann_dir/train/{name}.png')
    data = read_dataset(tmp_path / 'in', 'train', ['peeling'])
    assert [sample.problem for sample in data.samples] == ['', '']
    assert 'turned' in caplog.text and 'stored' in caplog.text
    copy_originals(data, tmp_path / 'out')
    for sample in data.samples:
        np.testing.assert_array_equal(sample.class_ids(), label)
        np.testing.assert_array_equal(Image.open(tmp_path / f'out/ann_dir/train/{sample.name}.png'), label)
        assert (tmp_path / f'out/img_dir/train/{sample.name}.JPG').is_file()
    # the copy is read alike, and nothing is left to turn
    again = read_dataset(tmp_path / 'out', 'train', ['peeling'])
    assert [s.label_sha256 for s in again.samples] == [s.label_sha256 for s in data.samples]
    assert not any(sample.turned_label for sample in again.samples)


def test_the_recorded_range_is_used(tmp_path):
    for kind in ('img_dir', 'ann_dir'):
        (tmp_path / kind / 'train').mkdir(parents=True)
    (tmp_path / 'img_dir/train/a.png').write_bytes(encode_deep(DEEP, '.png'))
    Image.fromarray(np.zeros((20, 32), np.uint8)).save(tmp_path / 'ann_dir/train/a.png')
    [stretched] = read_dataset(tmp_path, 'train', []).samples
    (tmp_path / 'dataset.json').write_text('{"settings": {"value_range": [0, 8000]}}')
    [sample] = read_dataset(tmp_path, 'train', []).samples
    assert stretched.pixels().max() == 255 and 126 <= sample.pixels().max() <= 128
    assert sample.pixels_id() != stretched.pixels_id() == sample.image_sha256
    (tmp_path / 'dataset.json').write_text('{"settings": {"all_channels": true}}')
    with pytest.raises(ValueError, match=r'dataset\.json: .*--all-channels.*three colours'):
        read_dataset(tmp_path, 'train', [])
    (tmp_path / 'dataset.json').write_text('[1]')
    with pytest.raises(ValueError, match=r'dataset\.json is no record'):
        read_dataset(tmp_path, 'train', [])
