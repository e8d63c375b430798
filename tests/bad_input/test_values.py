"""Odd values at every place of the JSON that is read, and on the command line of the augmentation."""

import json
from functools import partial

import pytest
from hostile import ODD_VALUES, places, refusal, replaced

from augment.command_line import parse_config
from augment.dataset.manifest import Manifest
from wtaseg.labels.convert import coco_jobs, dataset_classes, labelme_jobs
from wtaseg.labels.writing import write_labels
from wtaseg.runs.layout import RunLayout
from wtaseg.runs.state import read_state

COCO = {
    'images': [{'id': 1, 'file_name': 'a.jpg', 'height': 8, 'width': 8}],
    'categories': [{'id': 1, 'name': 'attached'}],
    'annotations': [
        {'id': 1, 'image_id': 1, 'category_id': 1, 'segmentation': [[1.0, 1.0, 4.0, 1.0, 4.0, 4.0]]},
        {'id': 2, 'image_id': 1, 'category_id': 1, 'segmentation': {'size': [8, 8], 'counts': [0, 2, 62]}},
    ],
}
LABELME = {
    'imagePath': 'a.jpg',
    'imageHeight': 8,
    'imageWidth': 8,
    'shapes': [
        {'label': 'attached', 'points': [[1, 1], [4, 1], [4, 4]], 'shape_type': 'polygon'},
        {'label': 'broken', 'points': [[1, 1], [4, 4]], 'shape_type': 'rectangle'},
        {'label': 'broken', 'points': [[1, 1], [4, 4]], 'shape_type': 'circle'},
    ],
}
STATE = {
    'config': 'a',
    'settings': None,
    'checkpoint': 'train/a.pth',
    'metrics': 'test/a.json',
    'error': None,
}
ROW = {
    'file': 'img_dir/train/a__rust.png',
    'kind': 'edit',
    'split': 'train',
    'source': 'img_dir/train/a.png',
    'source_sha256': 'x',
    'label': 'ann_dir/train/a__rust.png',
    'label_sha256': 'x',
    'accepted': True,
    'reasons': [],
    'word': 'rust',
    'target_prompt': 'p',
    'regions': [],
    'seed': 0,
    'parameters': {'steps': 5},
    'model': None,
    'reconstruction_psnr': None,
    'metrics': None,
}
MISSING = ...


def convert(jobs, source, out):
    """Convert; a file that can not be converted is an error of the result."""
    result = write_labels(jobs(source, dataset_classes()), out, overwrite=True)
    if result.errors:
        raise ValueError(result.errors[0])


def read_coco(tmp_path, path):
    convert(coco_jobs, path, tmp_path / 'out')


def read_labelme(tmp_path, path):
    convert(labelme_jobs, path.parent, tmp_path / 'out')


def read_run_state(tmp_path, path):
    layout = RunLayout(tmp_path / 'project', 'a')
    layout.state.parent.mkdir(parents=True, exist_ok=True)
    path.replace(layout.state)
    read_state(layout)


def read_manifest(tmp_path, path):
    manifest = Manifest(tmp_path)
    assert all(not manifest.is_done(file) for file in manifest.rows)


READERS = {
    'coco.json': (COCO, read_coco),
    'json/labelme.json': (LABELME, read_labelme),
    'state.json': (STATE, read_run_state),
    'manifest.jsonl': (ROW, read_manifest),
}
CASES = [(name, place) for name, (tree, _) in READERS.items() for place in places(tree)]


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(('name', 'place'), CASES, ids=lambda value: str(value).replace(' ', ''))
def test_odd_values(tmp_path, name, place):
    tree, read = READERS[name]
    root = tmp_path / 'a/b/root'
    for value in (MISSING, *ODD_VALUES):
        path = root / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(json.dumps(replaced(tree, place, value)))
        refusal(partial(read, root, path), path.name)
    assert all(p.is_dir() or p.is_relative_to(root) for p in tmp_path.rglob('*'))


AUGMENT = [
    ['--steps', '0'],
    ['--steps', '2000'],
    ['--steps', 'x'],
    ['--guidance', 'nan'],
    ['--guidance', '-1'],
    ['--cross', '1.5'],
    ['--self', '-0.1'],
    ['--rli-alpha', '2'],
    ['--resolution', '100'],
    ['--batch-size', '0'],
    ['--split', 'test'],
    ['--word', '!!'],
    ['--word', 'a', 'A', 'a'],
    ['--target-prompt', 'x'],
    ['--data', '/no/such'],
    ['--config', '/no/such.yaml'],
    ['--config', '/dev/null'],
    ['--blend', 'x'],
    ['--inversion', 'x'],
    ['--dtype', 'x'],
    ['--nosuch', '1'],
    ['--limit', '-1'],
]


@pytest.mark.parametrize('argv', AUGMENT, ids=' '.join)
def test_augment_command_lines(tmp_path, argv):
    assert refusal(lambda: parse_config(['--data', str(tmp_path), *argv]), '') is not None
