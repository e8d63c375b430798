"""Broken and hostile files of every kind that is read: refused in one line that names the file, or read right."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import broken_files, png_bomb, refusal, special_files
from PIL import Image

from augment.command_line import read_config_file
from augment.dataset.cache import InversionCache
from augment.dataset.reading import decode_image, decode_label
from augment.dataset.rows import read_rows
from mmseg.datasets.check import check_files
from mmseg.datasets.transforms.loading import LoadAnnotations, LoadImageFromFile
from mmseg.engine import load_checkpoint
from mmseg.models.losses.class_weight import get_class_weight
from mmseg.models.utils.pretrained import read_state_dict
from mmseg.utils.launch import load_config
from wtaseg.labels.annotations import load_json
from wtaseg.labels.classes import ClassTable
from wtaseg.labels.convert import cvat_jobs
from wtaseg.labels.masks import ids_by_value
from wtaseg.runs.spec import read_spec

LABELS = np.random.default_rng(0).integers(0, 3, (32, 32)).astype(np.uint8)


def png(path: Path, pixels: np.ndarray) -> bytes:
    Image.fromarray(pixels).save(path, 'PNG')
    return path.read_bytes()


def model() -> torch.nn.Module:
    return torch.nn.Linear(20, 20)


WEIGHTS = {'weight': torch.arange(400.0).view(20, 20), 'bias': torch.arange(20.0)}


def read_checkpoint_right(path: Path) -> None:
    """Load a checkpoint; what is loaded is what was saved."""
    target = model()
    load_checkpoint(target, str(path))
    assert all(torch.equal(value, WEIGHTS[key]) for key, value in target.state_dict().items())


def read_labels_right(path: Path) -> None:
    image = path.with_name('image.png')
    png(image, np.zeros((32, 32, 3), np.uint8))
    check_files([(str(image), str(path))], num_classes=3)
    labels = LoadAnnotations()(dict(seg_map_path=str(path), reduce_zero_label=False))['gt_seg_map']
    assert np.array_equal(labels, LABELS)


def read_image(path: Path) -> None:
    assert LoadImageFromFile()(dict(img_path=str(path)))['img'].ndim == 3


def read_mask_right(path: Path) -> None:
    assert np.array_equal(ids_by_value(path, {0: 0, 1: 1, 2: 2}).ids, LABELS)


def read_cvat(path: Path) -> None:
    """A file that is read has the area that its shapes say."""
    for job in cvat_jobs(path, ClassTable(('normal', 'dent'))):
        assert job.make().ids.shape


CVAT = (
    b'<annotations><image id="0" name="a.png" width="32" height="32"><polygon label="dent" points="1,1;9,1;9,9"/>'
    b'<mask label="dent" rle="0, 9" left="20" top="20" width="3" height="3"/></image></annotations>'
)
SPEC = {'format': 1, 'name': 'a', 'config': 'b', 'model': 'c', 'overrides': ['x=1']}
ROW = '{"kind": "original", "file": "img_dir/a.png"}\n'
CONFIG = "model = dict(type='EncoderDecoder')\ntrain_cfg = dict(max_iters=3)\n"


def checkpoint_content(path: Path) -> bytes:
    torch.save({'state_dict': WEIGHTS}, path)
    return path.read_bytes()


READERS = {
    'checkpoint.pth': (checkpoint_content, read_checkpoint_right),
    'pretrained.pth': (checkpoint_content, lambda path: read_state_dict(str(path))),
    'label.png': (lambda path: png(path, LABELS), read_labels_right),
    'photo.png': (lambda path: png(path, np.stack([LABELS] * 3, -1)), read_image),
    'mask.png': (lambda path: png(path, LABELS), read_mask_right),
    'coco.json': (lambda path: b'{"images": [], "annotations": [], "categories": []}', load_json),
    'run.json': (lambda path: json.dumps(SPEC).encode(), read_spec),
    'weights.json': (lambda path: b'[1.0, 2.0, 3.0]', lambda path: get_class_weight(str(path))),
    'weights.yaml': (lambda path: b'- 1.0\n- 2.0\n', lambda path: get_class_weight(str(path))),
    'augment.yaml': (lambda path: b'steps: 5\nword: [rust]\n', read_config_file),
    'manifest.jsonl': (lambda path: ROW.encode(), lambda path: list(read_rows(path))),
    'cvat.xml': (lambda path: CVAT, read_cvat),
}
READERS_SEED = {name: seed for seed, name in enumerate(READERS)}
NUMBERS = [(name, number) for name in READERS for number in range(len(list(broken_files(b'x' * 9, 0))))]


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(('name', 'number'), NUMBERS)
def test_broken_files(tmp_path, name, number):
    content, read = READERS[name]
    path = tmp_path / name
    _, changed = list(broken_files(content(path), seed=READERS_SEED[name]))[number]
    path.write_bytes(changed)
    refusal(lambda: read(path), path)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('kind', ['pipe', 'folder', 'loop', 'dangling', 'absent'])
@pytest.mark.parametrize('name', READERS)
def test_what_is_no_regular_file(tmp_path, name, kind):
    path = tmp_path / name
    special = special_files(tmp_path)[kind]
    if kind in ('loop', 'dangling'):
        path.symlink_to(path if kind == 'loop' else 'nowhere')
    elif kind != 'absent':
        shutil.move(special, path)
    assert refusal(lambda: READERS[name][1](path), path) is not None


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('size', [(60_000, 60_000), (2**31 - 1, 1), (1, 2**31 - 1)])
@pytest.mark.parametrize('name', ['label.png', 'mask.png', 'photo.png'])
def test_decompression_bombs(tmp_path, name, size):
    (tmp_path / name).write_bytes(png_bomb(*size))
    assert refusal(lambda: READERS[name][1](tmp_path / name), tmp_path / name) is not None


@pytest.mark.parametrize('number', range(28))
@pytest.mark.parametrize('read', [decode_image, decode_label])
def test_broken_images_of_augment(tmp_path, read, number):
    """Their messages are completed with the file's name by the callers."""
    content = png(tmp_path / 'a.png', LABELS)
    _, changed = list(broken_files(content, 7))[number]
    refusal(lambda: read(changed), '')
    with pytest.raises(ValueError, match='cannot be decoded'):
        read(png_bomb(60_000, 60_000))


@pytest.mark.parametrize('number', range(28))
def test_broken_inversions_are_recomputed(tmp_path, number):
    cache, key = InversionCache(tmp_path), {'a': 1}
    from safetensors.torch import save

    content = save({'steps': torch.tensor(3)}, {'about': json.dumps({'key': {'b': 1}, 'stats': {}})})
    cache.path(key).parent.mkdir(parents=True)
    cache.path(key).write_bytes(list(broken_files(content, 9))[number][1])
    assert cache.load(key) is None


CONFIGS = {
    'syntax.py': 'model = dict(',
    'circle.py': "_base_ = './circle.py'\n",
    'absent_base.py': "_base_ = './nothing.py'\n",
    'base_of_wrong_type.py': '_base_ = 7\n',
    'undefined.py': 'model = dict(type=Undefined)\n',
    'division.py': 'model = dict(a=1 / 0)\n',
    'no_model.py': 'a = 1\n',
    'model_of_wrong_type.py': 'model = 5\n',
    'empty.py': '',
    'no_text.py': '\x00\x01',
    'broken.json': '{"model": ',
    'broken.yaml': 'model: [1, 2',
    'list.json': '[1]',
    'suffix.txt': 'model = dict()',
    'reserved.py': "filename = 'a'\nmodel = dict()\n",
    'duplicate_base.py': "_base_ = ['./a.py', './b.py']\n",
    'attribute.py': 'model = dict().a\n',
    'assertion.py': 'assert False\n',
    'key.py': "model = {}['a']\n",
    'index.py': 'model = [][0]\n',
    'unicode.py': 'model = dict(a=\u2028)\n',
}


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', CONFIGS)
def test_broken_configs(tmp_path, name):
    for other in 'ab':
        (tmp_path / f'{other}.py').write_text('model = dict(type=1)\n')
    (tmp_path / name).write_text(CONFIGS[name], encoding='utf-8')
    assert refusal(lambda: load_config(tmp_path / name), tmp_path) is not None
