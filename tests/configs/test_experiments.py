"""Every experiment in ``configs/``: its model is built; with narrow layers it is trained and tested."""

import re
from pathlib import Path

import pytest
import torch
from contract import ARCHITECTURES, OTHER_EXPERIMENTS, assign
from mmengine.config import Config
from mmengine.runner.checkpoint import _load_checkpoint
from timm_import import INSTALLED, import_timm

from mmseg.engine import build_runner
from mmseg.registry import MODELS
from mmseg.utils.smoke import shrink
from mmseg.utils.walk import dataset_configs

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(
    path
    for path in (ROOT / 'configs').glob('*/*.py')
    if path.parent.name != '_base_' and 'written by ``wta-seg new``' not in path.read_text(encoding='utf-8')
)

PUBLISHED = {
    'gcnet',
    'apcnet',
    'pspnet',
    'fastscnn',
    'mobilenet_v3',
    'upernet',
    'ann',
    'bisenetv2',
    'beit',
    'vit',
    'ccnet',
    'danet',
}


def _parts(model: dict) -> tuple[str, ...]:
    """Types of backbone, neck and decode heads."""
    parts = [model[key] for key in ('backbone', 'neck', 'decode_head') if key in model]
    return tuple(part['type'] for part in (*parts[:-1], *_listed(parts[-1])))


def _listed(part: dict | list) -> list:
    return part if isinstance(part, list) else [part]


#: Options that make the layers of an architecture narrow, from the contract test of the models.
NARROW_OPTIONS = {
    _parts(architecture.config()): architecture.options
    for architecture in (*ARCHITECTURES, *OTHER_EXPERIMENTS)
}


def _heads(model: dict) -> list[dict]:
    # the head that predicts comes first
    return [*reversed(_listed(model.decode_head)), *_listed(model.get('auxiliary_head', []))]


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def path(request):
    return request.param


def load(path: Path) -> Config:
    """The config; the test is skipped where its model needs timm, which is not installed."""
    cfg = Config.fromfile(path)
    if cfg.model.backbone.type.startswith('TIMM'):
        if not INSTALLED:
            pytest.skip('needs timm: pip install "wta-seg[timm]"')
        import_timm()
    return cfg


def test_the_model_is_built(path):
    cfg = load(path)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert sum(parameter.numel() for parameter in model.parameters()) > 1e6
    crop = re.search(r'(\d+)x\1$', path.stem)
    assert tuple(cfg.model.data_preprocessor['size']) == (int(crop[1]), int(crop[1]))
    weights = [head.loss_decode.pop('loss_weight') for head in _heads(cfg.model)]
    assert weights[0] == 1.0
    assert all(head.num_classes == 3 for head in _heads(cfg.model))
    if '-ce-' not in path.stem and 'demo' not in path.stem:
        focal = dict(type='FocalLoss', use_sigmoid=False, gamma=2.0, alpha=[0.1, 0.3, 0.6])
        assert all(head.loss_decode == focal for head in _heads(cfg.model))


def test_the_docstring_has_the_command(path):
    docstring = path.read_text().split('"""')[1]
    name = path.relative_to(ROOT).as_posix()
    assert name in docstring or 'make demo' in docstring
    if path.parent.name in PUBLISHED and 'demo' not in path.stem:
        assert re.search(r'mIoU \d+\.?\d*, mAcc \d+\.?\d*', docstring)


def test_every_published_model_has_both_experiments():
    for suffix in ('_4xb4-40k_wta-512x512', '_4xb4-40k_wta_aug_peeling-512x512'):
        assert {path.parent.name for path in CONFIGS if path.stem.endswith(suffix)} == PUBLISHED


def test_the_batch_job_lists_every_published_experiment():
    text = (ROOT / 'bash' / 'run_main.sh').read_text()
    listed = text.split('TEST_CANDI=(')[1].split('\n)')[0].split()
    assert len(listed) == len(set(listed))
    known = {path.relative_to(ROOT / 'configs').with_suffix('').as_posix() for path in CONFIGS}
    assert set(listed) == {name for name in known if '_4xb4-40k_' in name}


def test_trains_and_is_tested(path, blades, tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))
    cfg = shrink(load(path), iterations=2, samples=2)
    for key, value in NARROW_OPTIONS[_parts(cfg.model)].items():
        if key not in ('backbone.img_size', 'backbone.frozen'):  # set by shrink; as the experiment has it
            assign(cfg.model, key.split('.'), value)
    for split in ('train', 'val', 'test'):
        for dataset in dataset_configs(cfg[f'{split}_dataloader'].dataset):
            if 'data_root' in dataset:
                dataset.update(data_root=str(blades), serialize_data=False)
    cfg.work_dir = str(tmp_path)
    cfg.experiment_name = f'experiment_{CONFIGS.index(path)}'
    cfg.randomness = dict(seed=0)
    runner = build_runner(cfg)
    runner.train()
    losses = {key: value for key, value in runner.message_hub.log_scalars.items() if 'loss' in key}
    assert 'train/loss' in losses
    assert all(torch.isfinite(torch.as_tensor(buffer.current())) for buffer in losses.values())
    saved = _load_checkpoint(str(tmp_path / 'iter_2.pth'), map_location='cpu')['state_dict']
    assert all(value.isfinite().all() for value in saved.values())
    metrics = runner.test()
    assert 0 <= metrics['mIoU'] <= 100
    assert {'IoU.attached', 'IoU.broken'} <= set(metrics)
