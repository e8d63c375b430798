"""Wrong annotations: COCO, LabelMe and mask files for ``wta-seg convert``, and labels for ``wta-seg new``."""

import base64
import io
import os
from pathlib import Path

import numpy as np
from bad_cases import Case, cases
from hostile import png_bomb, replaced
from PIL import Image

COCO = {
    'images': [
        {'id': 1, 'file_name': 'a.jpg', 'height': 8, 'width': 8},
        {'id': 2, 'file_name': 'b.jpg', 'height': 8, 'width': 8},
    ],
    'categories': [{'id': 1, 'name': 'attached'}, {'id': 2, 'name': 'broken'}],
    'annotations': [
        {'id': 1, 'image_id': 1, 'category_id': 1, 'segmentation': [[1.0, 1.0, 4.0, 1.0, 4.0, 4.0]]},
        {'id': 2, 'image_id': 2, 'category_id': 2, 'segmentation': {'size': [8, 8], 'counts': [0, 2, 62]}},
    ],
}
SHAPE = {'label': 'attached', 'points': [[1, 1], [4, 1], [4, 4]], 'shape_type': 'polygon'}
LABELME = {'imagePath': 'a.jpg', 'imageHeight': 8, 'imageWidth': 8, 'shapes': [SHAPE]}
MISSING = ...
DEEP = '[' * 100_000


def png_text(pixels: np.ndarray) -> str:
    """A mask as LabelMe holds it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    return base64.b64encode(file.getvalue()).decode()


def pipe(path: Path) -> None:
    """A named pipe, whose reader waits forever."""
    os.mkfifo(path)


def folder(path: Path) -> None:
    """A folder in the place of a file."""
    path.mkdir(parents=True)


def loop(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path.name)


def coco(*changes: tuple) -> dict:
    """The COCO file with values changed: ``(place, value)`` one after the other."""
    content = COCO
    for place, value in zip(changes[::2], changes[1::2]):
        content = replaced(content, place, value)
    return {'c.json': content}


def labelme(place: tuple, value: object) -> dict:
    """A LabelMe file with one value changed."""
    return {'labels/x.json': replaced(LABELME, place, value)}


IMAGE, CATEGORY, FIRST, SECOND = ('images', 0), ('categories', 0), ('annotations', 0), ('annotations', 1)
SEGMENT, RUNS = (*FIRST, 'segmentation'), (*SECOND, 'segmentation')
COCO_ROWS = [
    *[
        ((key,), value, key)
        for key in ('images', 'annotations', 'categories')
        for value in (MISSING, None, 5, {})
    ],
    *[((key,), [1], key) for key in ('images', 'annotations', 'categories')],
    *[((*IMAGE, 'id'), value, 'id', str(value)) for value in (None, [], {}, 1.5)],
    ((*IMAGE, 'id'), 2, 'images', '2'),
    ((*CATEGORY, 'id'), 2, 'categories', '2'),
    *[((*CATEGORY, 'id'), value, 'id', str(value)) for value in (None, [], 1.5)],
    ((*CATEGORY, 'id'), 9, 'category_id', '1', 'annotation 1'),
    *[((*CATEGORY, 'name'), value, str(value)) for value in ('scratch', None, 5, '', [])],
    *[((*IMAGE, 'file_name'), value, 'file_name', repr(value)) for value in (None, 5, [], '')],
    *[((*IMAGE, 'file_name'), value, 'file_name') for value in (MISSING, '  ')],
    *[
        ((*IMAGE, 'file_name'), value, 'file_name')
        for value in ('../a.jpg', '/a.jpg', 'C:\\a.jpg', 'x\0y', 'a/../../b')
    ],
    ((*IMAGE, 'file_name'), 'b.png', 'b.png'),
    *[
        ((*IMAGE, side), value, side, repr(value))
        for side in ('height', 'width')
        for value in (None, 0, -1, '8', 8.5, True, [8])
    ],
    ((*IMAGE, 'height'), MISSING, 'height', 'None'),
    *[((*IMAGE, side), 10**9, side, str(10**9)) for side in ('height', 'width')],
    *[
        ((*FIRST, 'image_id'), value, 'image_id', 'annotation 1')
        for value in (MISSING, None, [], {}, 99, 'x')
    ],
    *[
        ((*FIRST, 'category_id'), value, 'category_id', 'annotation 1')
        for value in (MISSING, None, [], 99, 'x')
    ],
    *[
        (SEGMENT, value, 'annotation 1 of a')
        for value in (MISSING, None, [], 'x', 5, {}, [[]], [[1, 2]], ['x'], [[1, 2, 3]])
    ],
    *[
        (SEGMENT, [[1, 1, 4, value, 4, 4]], 'annotation 1 of a', 'points')
        for value in ('x', None, float('nan'), float('inf'), 1e9, [])
    ],
    (SEGMENT, [[20, 20, 24, 20, 24, 24]], 'annotation 1 of a', '(20, 20)', '8 x 8'),
    (SEGMENT, [[-9, -9, -4, -9, -4, -4]], 'annotation 1 of a', '(-9, -9)', '8 x 8'),
    *[
        (RUNS, {'size': size, 'counts': [64]}, 'annotation 2 of b', str(size))
        for size in ([7, 8], [8], None, 'x')
    ],
    *[
        (RUNS, {'size': [8, 8], 'counts': counts}, 'annotation 2 of b')
        for counts in (None, 5, [0, 2, 61], [64, 1], [-1, 65], ['x'], 'zz zz', '', {}, [10**9, 64 - 10**9])
    ],
    (RUNS, {'counts': [64]}, 'annotation 2 of b', 'size'),
    (RUNS, {'size': [8, 8]}, 'annotation 2 of b', 'counts'),
]
BAD_JSON = {
    'truncated': '{"images": [',
    'empty': '',
    'text': 'no JSON\n',
    'list': '[1]',
    'number': '7',
    'null': 'null',
    'deep list': DEEP,
    'deep object': '{"a":' * 100_000,
    'utf-16': '{}'.encode('utf-16'),
    'binary': bytes(range(256)),
    'bare quote': '"',
    'pipe': pipe,
    'folder': folder,
    'loop': loop,
}
CONVERT_COCO = [
    Case('convert coco c.json --out out', ('c.json', *names), coco(place, value))
    for place, value, *names in COCO_ROWS
] + [Case('convert coco c.json --out out', ('c.json',), {'c.json': content}) for content in BAD_JSON.values()]

POINTS = ('shapes', 0, 'points')
LABELME_ROWS = [
    *[(('imagePath',), value, 'imagePath', repr(value)) for value in (5, [], {}, '..', 'a\0b', '/', '.')],
    *[
        ((side,), value, side, repr(value))
        for side in ('imageHeight', 'imageWidth')
        for value in (None, 0, -3, '8', 8.5, True, [])
    ],
    (('imageHeight',), MISSING, 'imageHeight', 'None'),
    (('imageWidth',), 10**9, 'imageWidth', str(10**9)),
    *[(('shapes',), value, 'shapes') for value in (None, 5, 'x', {}, [1], [None], [[]])],
    *[(('shapes', 0, 'label'), value, repr(str(value))) for value in ('scratch', None, 5, '', [])],
    (('shapes', 0, 'label'), MISSING, "'None'"),
    *[
        (POINTS, value, 'shape 1', 'points')
        for value in (
            MISSING,
            None,
            [],
            5,
            'x',
            [[1, 1]],
            [['a', 'b']] * 3,
            [[1, float('nan')]] * 3,
            [[1e9, 1]] * 3,
        )
    ],
    (POINTS, [[20, 20], [24, 20], [24, 24]], 'shape 1', '(20, 20)', '8 x 8'),
    *[
        (('shapes', 0, 'shape_type'), value, 'shape 1', str(value))
        for value in ('point', 'line', 'linestrip', 'x', 5)
    ],
]


def mask_shape(mask: object = MISSING, at: object = (1, 1)) -> dict:
    """A LabelMe file with one mask."""
    shape = {'label': 'attached', 'points': [list(at)], 'shape_type': 'mask'}
    return {'labels/x.json': {**LABELME, 'shapes': [shape if mask is MISSING else {**shape, 'mask': mask}]}}


FULL = png_text(np.full((3, 3), 255, np.uint8))
CONVERT_LABELME = [
    Case('convert labelme labels --out out', ('x.json', *names), labelme(place, value))
    for place, value, *names in LABELME_ROWS
]
CONVERT_LABELME += [
    Case('convert labelme labels --out out', ('x.json', 'shape 1', *names), files)
    for files, *names in [
        *[
            (mask_shape(value), 'mask')
            for value in (MISSING, None, '', 'zz', 5, base64.b64encode(b'x').decode(), [])
        ],
        (mask_shape(base64.b64encode(png_bomb(60_000, 60_000)).decode()), 'mask'),
        (mask_shape(png_text(np.zeros((3, 3), np.uint8))), 'empty'),
        (mask_shape(png_text(np.full((3, 3, 3), 255, np.uint8))), 'mask'),
        (mask_shape(FULL, (-12, -12)), '(-12, -12)', '8 x 8'),
        (mask_shape(FULL, (50, 1)), '(50, 1)', '8 x 8'),
    ]
]
CONVERT_LABELME += [
    Case('convert labelme labels --out out', ('x.json',), {'labels/x.json': content})
    for content in BAD_JSON.values()
]
CONVERT_LABELME += [
    Case(
        'convert labelme labels --out out',
        ('y.json', 'a'),
        {'labels/x.json': LABELME, 'labels/y.json': LABELME},
    ),
    Case('convert labelme labels --out out', ('labels', '.json'), {'labels/x.txt': 'x'}),
]

GREY = np.array([[0, 1, 2], [0, 1, 255]], np.uint8)
COLOURS = np.zeros((3, 3, 3), np.uint8)
COLOURS[0, 0] = (1, 2, 3)
PNG = base64.b64decode(png_text(np.random.default_rng(0).integers(0, 3, (32, 32)).astype(np.uint8)))
BAD_MASKS = {
    'text': b'no image\n',
    'empty': b'',
    'truncated': PNG[:40],
    'pixels cut off': PNG[:100],
    'bomb': png_bomb(60_000, 60_000),
    'wide bomb': png_bomb(2**31 - 1, 1),
    'pipe': pipe,
    'loop': loop,
}
VALUES = 'convert values masks --map 0=defect 1=attached 2=broken 255=ignore --out out'
CONVERT_MASKS = [
    Case(command, ('m.png',), {'masks/m.png': content})
    for command in (VALUES, 'convert palette masks --out out', 'convert binary attached=masks --out out')
    for content in BAD_MASKS.values()
]
CONVERT_MASKS += [
    Case(VALUES, ('m.png', '7', '(1 px)'), {'masks/m.png': np.array([[0, 7]], np.uint8)}),
    Case(VALUES, ('m.png', 'RGB'), {'masks/m.png': COLOURS}),
    Case(VALUES, ('m.png', '300'), {'masks/m.png': np.array([[0, 300]], np.uint16)}),
    Case('convert palette masks --out out', ('m.png', '1,2,3'), {'masks/m.png': COLOURS}),
    Case(
        'convert binary attached=masks --out out',
        ('m.png', '7,7,7'),
        {'masks/m.png': np.array([[0, 7]], np.uint8)},
    ),
    Case(
        'convert binary attached=masks broken=more --out out',
        ('m.png', '2 x 1', '3 x 1'),
        {'masks/m.png': np.zeros((1, 2), np.uint8), 'more/m.png': np.zeros((1, 3), np.uint8)},
    ),
    Case(VALUES, ('m.png', 'm.bmp'), {'masks/m.png': GREY, 'masks/m.bmp': GREY}),
    Case(VALUES, ('masks',), {'masks/m.txt': 'x'}),
    Case('convert values m.png --map 0=defect --out out', ('m.png',), {'m.png': GREY}),
]
MASK = {'masks/m.png': GREY}
CONVERT_OPTIONS = [
    Case(argv, names, MASK)
    for argv, *names in [
        ('convert palette masks --colour attached --out out', '--colour', 'attached'),
        ('convert palette masks --colour attached=1,2 --out out', '--colour', '1,2'),
        ('convert palette masks --colour attached=1,2,256 --out out', '--colour', '1,2,256'),
        ('convert palette masks --colour attached=a,b,c --out out', '--colour', 'a,b,c'),
        ('convert palette masks --colour rust=1,2,3 --out out', 'rust'),
        ('convert palette masks --colour attached=1,2,3 broken=1,2,3 --out out', '1, 2, 3'),
        ('convert palette masks --colour attached=1,2,3 attached=4,5,6 --out out', '--colour', 'attached'),
        ('convert palette masks --classes a b --out out', '--colour'),
        ('convert values masks --map 0 --out out', '--map', "'0'"),
        ('convert values masks --map x=attached --out out', '--map', 'x'),
        ('convert values masks --map 0=rust --out out', 'rust'),
        ('convert values masks --map 0=9 --out out', "'9'"),
        ('convert values masks --map 0=defect 0=broken --out out', '--map', "'0'"),
        ('convert values masks --map =x --out out', '--map', '=x'),
        ('convert values masks --out out', '--map'),
        ('convert values masks --map 0=defect', '--out'),
        ('convert binary masks --out out', 'masks'),
        ('convert binary rust=masks --out out', 'rust'),
        ('convert binary attached=nowhere --out out', 'nowhere'),
        ('convert values nowhere --map 0=defect --out out', 'nowhere'),
        ('convert palette nowhere --out out', 'nowhere'),
        ('convert labelme nowhere --out out', 'nowhere'),
        ('convert coco nowhere.json --out out', 'nowhere.json'),
        ('convert values masks --map 0=defect --dataset NoSuchSet --out out', '--dataset', 'NoSuchSet'),
        ('convert values masks --map 0=defect --images nowhere --out out', 'nowhere'),
        ('convert values masks --map 0=defect --empty-label missing --out out', '--empty-label'),
        ('convert values masks --map 0=defect --empty-label x --out out', '--empty-label', 'x'),
        ('convert labelme masks --line-width x --out out', '--line-width', 'x'),
        ('convert labelme masks --line-width 2.5 --out out', '--line-width', '2.5'),
        ('convert xml masks --out out', 'xml'),
        ('convert values masks --map 0=defect --nosuch 1 --out out', '--nosuch'),
    ]
]
ANNOTATIONS = cases() + CONVERT_COCO + CONVERT_LABELME + CONVERT_MASKS + CONVERT_OPTIONS
