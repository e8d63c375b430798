"""Conversion of "CVAT for images 1.1", an XML file or its ZIP."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from wtaseg.cli import convert as convert_labels
from wtaseg.labels import documents
from wtaseg.labels.classes import ConversionError
from wtaseg.labels.documents import read_documents
from wtaseg.new.sources import LabelOptions, detect

CLASSES = ('normal', 'scratch', 'dent')


def xml(*shapes, name='긁힘/부품 1.JPG', size=(10, 8), head='', images=''):
    """A file of one image of ``size`` (width, height)."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n{head}<annotations><version>1.1</version><meta><task><labels><label>'
        '<name>scratch</name></label></labels></task></meta>'
        f'<image id="0" name="{name}" width="{size[0]}" height="{size[1]}">{"".join(shapes)}</image>{images}'
        '</annotations>'
    ).encode()


def box(label, left, top, right, bottom, **more):
    attributes = dict(label=label, xtl=left, ytl=top, xbr=right, ybr=bottom) | more
    return element('box', **attributes)


def element(kind, **attributes):
    written = ' '.join(f'{key}="{value}"' for key, value in attributes.items())
    return f'<{kind} {written}><attribute name="note">scratch</attribute></{kind}>'


@pytest.fixture
def convert(tmp_path, capsys):
    """A function that converts the content of a file; returns the labels by name, or the error message."""

    def run(content, *options, refused=False, file='annotations.xml'):
        source, out = tmp_path / file, tmp_path / 'out'
        source.write_bytes(content)
        args = ['cvat', source, '--out', out, '--classes', *CLASSES, '--overwrite', *options]
        status = convert_labels.main([str(arg) for arg in args])
        printed = capsys.readouterr()
        assert status == (1 if refused else 0), printed.err
        if refused:
            assert [str(source) in line for line in printed.err.splitlines()].count(True) == 1
            return printed.err
        return {path.relative_to(out).as_posix(): np.array(Image.open(path)) for path in out.rglob('*.png')}

    return run


def test_shapes_cover_each_other_by_z_order_then_by_place(convert):
    shapes = [
        element('polygon', label='dent', points='0.00,0.00;4.00,0.00;4.00,4.00;0.00,4.00', z_order=1),
        box('scratch', 2, 2, 6, 6, z_order=0),
        box('Kratzer', 3, 0, 4, 1, z_order=1),
        element('tag', label='checked'),
    ]
    label = convert(xml(*shapes), '--map', 'Kratzer=scratch')['긁힘/부품 1.png']
    expected = np.zeros((8, 10), np.uint8)
    expected[2:6, 2:6] = 1
    expected[:4, :4] = 2
    expected[0, 3] = 1
    np.testing.assert_array_equal(label, expected)


def test_masks_are_run_lengths_along_rows_and_may_lie_over_the_border(convert):
    runs = dict(label='dent', rle='1, 2, 2, 1', left=8, top=3, width=3, height=2)
    expected = np.zeros((8, 10), np.uint8)
    expected[3, 9] = 2
    mask = element('mask', **runs)
    np.testing.assert_array_equal(convert(xml(mask))['긁힘/부품 1.png'], expected)
    expected[3, 9] = 0
    expected[3, 2:4], expected[4, 3] = 2, 2
    mask = element('mask', **runs | dict(left=1))
    np.testing.assert_array_equal(convert(xml(mask))['긁힘/부품 1.png'], expected)


def test_rotation_is_clockwise_around_the_centre(convert):
    """A box of 6 x 2, turned by a right angle, is one of 2 x 6; by 30 degrees its right end goes down."""
    upright = convert(xml(box('scratch', 2, 3, 8, 5, rotation='90.0')))['긁힘/부품 1.png']
    expected = np.zeros((8, 10), np.uint8)
    expected[1:7, 4:6] = 1
    np.testing.assert_array_equal(upright, expected)
    tilted = convert(xml(box('scratch', 1, 3, 9, 5, rotation='30')))['긁힘/부품 1.png']
    assert tilted[5, 7] == 1 and tilted[2, 2] == 1 and tilted[2, 7] == 0 and tilted[5, 2] == 0


def test_ellipses(convert):
    ellipse = dict(label='dent', cx=20, cy=20, rx=15, ry=5)
    flat = convert(xml(element('ellipse', **ellipse), size=(40, 40)))['긁힘/부품 1.png']
    assert (flat == 2).sum() == pytest.approx(np.pi * 75, rel=0.03)
    assert flat[20, 6] == 2 and flat[20, 4] == 0 and flat[16, 20] == 2 and flat[14, 20] == 0
    turned = convert(xml(element('ellipse', **ellipse, rotation=90), size=(40, 40)))['긁힘/부품 1.png']
    np.testing.assert_array_equal(turned, flat.T)
    dot = convert(xml(element('ellipse', **ellipse | dict(cx=3, cy=3, rx=0.2, ry=0.2))))['긁힘/부품 1.png']
    assert np.argwhere(dot).tolist() == [[3, 3]]


def test_lines_need_a_width(convert):
    line = element('polyline', label='scratch', points='1,4;8,4')
    assert '--line-width' in convert(xml(line), refused=True)
    label = convert(xml(line), '--line-width', '1')['긁힘/부품 1.png']
    assert label[4, 1:9].all() and label.sum() == 8


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        (box('rust', 0, 0, 3, 3), "unknown class name 'rust', expected normal, scratch, dent"),
        (element('points', label='dent', points='1,1'), 'redraw it as a polygon or mask'),
        (element('skeleton', label='dent'), 'has no area'),
        (element('tag', label='dent'), "has the tag 'dent', which has no area"),
        (box('dent', 20, 20, 30, 30), 'lies outside the image'),
        (box('dent', 'nan', 0, 3, 3), "has xtl='nan', expected a number"),
        (box('dent', 0, 0, 3, 3, rotation='1e400'), 'rotation'),
        (element('polygon', label='dent', points='1,1;2,2'), 'usable points'),
        (element('polygon', label='dent'), 'usable points'),
        (element('mask', label='dent', rle='3, 2', left=0, top=0, width=3, height=2), 'expected 6 pixels'),
        (element('mask', label='dent', rle='6', left=0, top=0, width=3, height=2), 'is empty'),
        (element('mask', label='dent', rle='0, 6', left=30, top=0, width=3, height=2), 'lies outside'),
        (element('mask', label='dent', rle='0, 6', width=3, height=2), 'no left and top'),
        (element('mask', label='dent', rle='0,9', left=0, top=0, width=10**6, height=10**6), 'at most'),
        (element('ellipse', label='dent', cx=3, cy=3, rx=0, ry=2), 'expected more than 0'),
        (element('ellipse', label='dent', cx=60, cy=3, rx=1, ry=2), 'lies outside the image'),
    ],
)
def test_shapes_that_have_no_pixels_are_refused(convert, shape, message):
    assert message in convert(xml(shape), refused=True)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (xml(head='<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]>', name='&c;'), 'document type'),
        (xml(head='<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]>', name='&f;'), 'document type'),
        (b'<annotation><object/></annotation>', 'a file of <annotation>'),
        (b'<annotations><track id="0" label="dent"/></annotations>', 'tracks of a video'),
        (xml(name='../../x.png'), 'points outside'),
        (xml(name='C:\\photos\\x.png'), 'points outside'),
        (xml(name=''), "name ''"),
        (xml(size=(0, 8)), 'expected two positive integers'),
        (xml(size=(10**6, 10**6)), 'expected at most'),
        (
            xml(name='a.jpg', images='<image id="1" name="a.png" width="9" height="9"/>'),
            'two images would become',
        ),
        (xml()[:-20], 'no valid XML'),
        (b'', 'no valid XML'),
    ],
)
def test_files_that_are_damaged_or_others_are_refused(convert, content, message):
    assert message in convert(content, refused=True)


def make_zip(path, members):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_the_zip_that_cvat_exports(convert, tmp_path):
    members = {
        'images/a.jpg': b'not read',
        'annotations.xml': xml(box('dent', 0, 0, 2, 2), name='sub\\a.jpg'),
        '__MACOSX/._annotations.xml': b'not read',
    }
    content = make_zip(tmp_path / 'made.zip', members).read_bytes()
    label = convert(content, file='작업 1.zip')['sub/a.png']
    assert (label == 2).sum() == 4
    [source] = detect(tmp_path / '작업 1.zip', LabelOptions(CLASSES))
    assert source.format == 'CVAT for images (XML)' and source.path == tmp_path / '작업 1.zip/annotations.xml'
    np.testing.assert_array_equal(source.jobs[0].make().ids, label)
    assert not list(tmp_path.rglob('a.jpg'))


def test_other_formats_in_a_zip(tmp_path):
    coco = b'{"images": [{"id": 1, "file_name": "b.png", "height": 4, "width": 6}], "annotations": [], "categories": []}'
    shapes = b'{"shapes": [], "imagePath": "c.png", "imageHeight": 4, "imageWidth": 6}'
    path = make_zip(tmp_path / 'a.zip', {'annotations/instances_default.json': coco, 'part/c.json': shapes})
    sources = detect(path, LabelOptions(CLASSES))
    assert [source.format for source in sources] == ['LabelMe JSON', 'COCO JSON (CVAT)']
    assert [job.name for source in sources for job in source.jobs] == ['part/c', 'b']
    args = ['coco', path, '--out', tmp_path / 'out', '--classes', *CLASSES]
    assert convert_labels.main([str(arg) for arg in args]) == 1  # c.json is not COCO
    masks = make_zip(tmp_path / 'masks.zip', {'SegmentationClass/a.png': b''})
    with pytest.raises(ValueError, match='unpack it'):
        detect(masks, LabelOptions(CLASSES))


def test_folders_may_mix_cvat_with_other_xml(tmp_path):
    (tmp_path / 'a.xml').write_bytes(xml(name='a.jpg'))
    (tmp_path / 'b.xml').write_bytes(b'<annotation/>')
    make_zip(tmp_path / 'b.zip', {'annotations.xml': xml(name='b.jpg')})
    sources = detect(tmp_path, LabelOptions(CLASSES))
    assert [source.path for source in sources] == [tmp_path / 'a.xml', tmp_path / 'b.zip/annotations.xml']


@pytest.mark.parametrize('name', ['../annotations.xml', '/tmp/annotations.xml', 'a/../../x.xml', 'C:\\x.xml'])
def test_a_zip_whose_file_points_outside_is_refused(convert, tmp_path, name):
    content = make_zip(tmp_path / 'made.zip', {name: xml()}).read_bytes()
    assert 'points outside' in convert(content, refused=True, file='a.zip')


def test_a_zip_bomb_is_refused(convert, tmp_path, monkeypatch):
    monkeypatch.setattr(documents, 'MAX_UNPACKED', 100_000)
    members = {f'{i}.xml': xml() + b' ' * 60_000 for i in range(2)}
    path = make_zip(tmp_path / 'made.zip', members)
    assert path.stat().st_size < 3000
    assert 'unpacked' in convert(path.read_bytes(), refused=True, file='a.zip')


def test_damaged_zips_are_refused(tmp_path):
    content = make_zip(tmp_path / 'made.zip', {'annotations.xml': xml(box('dent', 0, 0, 2, 2))}).read_bytes()
    path = tmp_path / 'a.zip'
    refused = 0
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        for part in (bytes(changed), content[:place]):
            path.write_bytes(part)
            try:
                documents_read = list(read_documents(path))
            except ConversionError as error:
                assert str(path) in str(error)
                refused += 1
            else:
                assert all(document.content == xml(box('dent', 0, 0, 2, 2)) for document in documents_read)
    assert refused > len(content)
