"""Training a head on cached features: same results, no image encoded twice, and what is refused."""

import pytest
import torch
from timm_import import import_timm, needs_timm

from mmseg.engine import build_runner
from mmseg.engine.hooks import FeatureCacheHook

pytestmark = needs_timm

VALIDATION_IMAGES = 8
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]


@pytest.fixture
def frozen(experiment, tmp_path):
    """A function that makes the config of a linear head on a frozen transformer, with a cache unless told otherwise."""
    import_timm()

    def make(cached=True, **options):
        cfg = experiment(**options)
        cfg.model.backbone = dict(
            type='TIMMVisionTransformer',
            model_name='vit_tiny_patch16_224',
            pretrained=False,
            embed_dim=16,
            depth=2,
            num_heads=2,
        )
        cfg.model.decode_head = dict(
            type='BNHead', in_channels=[16, 16], in_index=[0, 1], num_classes=3, norm_cfg=dict(type='BN')
        )
        cfg.model.data_preprocessor.size = (64, 64)
        cfg.train_dataloader.dataset.pipeline = PIPELINE
        if cached:
            cfg.custom_hooks = [
                dict(type='FeatureCacheHook', folder=str(tmp_path / 'features'), limit_gb=0.01)
            ]
        return cfg

    return make


def train(cfg):
    """The runner after training, and how many images its backbone encoded, without those of the validation at the end."""
    runner = build_runner(cfg)
    encode, counts = runner.model.backbone._encode, []
    runner.model.backbone._encode = lambda x: counts.append(len(x)) or encode(x)
    runner.train()
    return runner, sum(counts) - VALIDATION_IMAGES


def test_a_second_training_computes_nothing_and_learns_the_same(frozen, tmp_path):
    first, encoded = train(frozen(**{'train_cfg.max_iters': 12}))
    assert 8 <= encoded <= 16  # each of 8 images as it is, and flipped if it was drawn so
    second, again = train(frozen(**{'train_cfg.max_iters': 12, 'work_dir': str(tmp_path / 'second')}))
    assert again == 0
    state = first.model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in second.model.state_dict().items())


def test_a_head_learns_what_it_learns_without_a_cache(frozen, tmp_path):
    cached, _ = train(frozen())
    plain, encoded = train(frozen(cached=False, work_dir=str(tmp_path / 'plain')))
    assert encoded == 8
    expected = plain.model.decode_head.state_dict()
    for key, value in cached.model.decode_head.state_dict().items():
        # features are rounded to 11 bits; Adam's first steps have the size of the learning rate, 0.01
        torch.testing.assert_close(value, expected[key], rtol=1e-2, atol=1e-2)


def test_validation_computes_in_full_precision(frozen, tmp_path):
    runner, encoded = train(frozen())
    assert encoded == len(list((tmp_path / 'features').rglob('*.npz')))  # of training images alone
    assert runner.model.backbone.feature_cache is None


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda cfg: cfg.train_dataloader.dataset.pipeline.insert(2, dict(type='PhotoMetricDistortion')),
            'PhotoMetricDistortion in the training pipeline',
        ),
        (lambda cfg: cfg.model.backbone.update(frozen=False), 'is not frozen; expected'),
    ],
)
def test_what_a_cache_can_not_serve_is_refused(frozen, change, message):
    cfg = frozen()
    change(cfg)
    with pytest.raises(ValueError, match=message):
        build_runner(cfg).train()


def test_other_backbones_are_refused(experiment):
    cfg = experiment(custom_hooks=[dict(type='FeatureCacheHook')])
    with pytest.raises(ValueError, match='the backbone FastSCNN is not frozen'):
        build_runner(cfg).train()


def test_a_limit_is_positive():
    with pytest.raises(ValueError, match='limit_gb=0, expected a size above 0'):
        FeatureCacheHook(limit_gb=0)
