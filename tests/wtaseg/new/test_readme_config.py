"""The dataset class and the complete experiment that README shows for classes of one's own."""

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

import mmseg.datasets
from mmseg.registry import DATASETS
from mmseg.utils.loss_config import model_heads

ROOT = Path(__file__).resolve().parents[3]


def block(page: str, beginning: str) -> str:
    """The code of a page whose first line begins with a file's name."""
    blocks = re.findall(r'```python\n(.*?)```', (ROOT / page).read_text(encoding='utf-8'), re.DOTALL)
    [code] = [code for code in blocks if code.startswith(f'# {beginning}')]
    return code


@pytest.fixture(params=['README.md', 'README_ko.md'])
def config(request, tmp_path, monkeypatch):
    """The config as README says: the class is in mmseg/datasets, the experiment in configs."""
    name = 'mmseg.datasets.my_parts'
    module = ModuleType(name)
    module.__package__ = 'mmseg.datasets'
    monkeypatch.setitem(sys.modules, name, module)
    exec(block(request.param, 'mmseg/datasets/my_parts.py'), module.__dict__)
    monkeypatch.setattr(mmseg.datasets, 'MyParts', module.MyParts, raising=False)
    (tmp_path / 'configs/fastscnn').mkdir(parents=True)
    (tmp_path / 'configs/_base_').symlink_to(ROOT / 'configs/_base_')
    path = tmp_path / 'configs/fastscnn/fast_scnn_4xb4-40k_my_parts-512x512.py'
    path.write_text(block(request.param, path.name), encoding='utf-8')
    monkeypatch.chdir(tmp_path)
    yield Config.fromfile(path)
    DATASETS.module_dict.pop('MyParts')


def test_the_complete_config_of_the_readme_fits_its_classes(config, tmp_path):
    classes = mmseg.datasets.MyParts.METAINFO['classes']
    heads = list(model_heads(config.model))
    assert [head.num_classes for head in heads] == [len(classes)] * 3
    assert all(len(head.loss_decode.alpha) == len(classes) == 4 for head in heads)
    for kind in ('img_dir', 'ann_dir'):
        folder = tmp_path / 'data/my_parts' / kind / 'train'
        folder.mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / 'a.png')
    dataset = DATASETS.build(config.train_dataloader.dataset)
    assert dataset.metainfo['classes'] == classes and len(dataset) == 1
    assert "type='MyParts'" in config.pretty_text and 'class ' not in config.pretty_text
