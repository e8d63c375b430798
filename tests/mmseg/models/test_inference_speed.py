"""What makes inference quicker must not change it: folded batch norms, windows at once, groups of one size."""

import numpy as np
import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.structures import PixelData
from torch import nn

from mmseg.engine import build_runner
from mmseg.models import PSPHead
from mmseg.models.utils import folding, winograd
from mmseg.models.utils.pyramid_conv import PyramidConv
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

NORM = dict(type='BN')


def _model(**options):
    backbone = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=NORM)
    neck = dict(type='FPN', in_channels=[8, 16, 32, 64], out_channels=8, num_outs=4, norm_cfg=NORM)
    head = dict(
        type='FCNHead', in_channels=8, channels=8, num_convs=1, num_classes=3, norm_cfg=NORM, in_index=0
    )
    auxiliary = dict(head, in_index=1)
    model = MODELS.build(
        dict(
            type='mmseg.EncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor'),
            backbone=backbone,
            neck=neck,
            decode_head=head,
            auxiliary_head=auxiliary,
            **options,
        )
    )
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_var, module.weight.data):
                tensor.uniform_(0.5, 1.5, generator=generator)
            for tensor in (module.running_mean, module.bias.data):
                tensor.uniform_(-0.2, 0.2, generator=generator)
    return model.eval()


@torch.no_grad()
def test_folded_batch_norms_change_nothing():
    model, images = _model(), torch.randn(2, 3, 64, 96)
    expected = model._forward(images)
    assert folding.prepare_for_inference(model)
    predicting = [model.backbone, model.neck, model.decode_head]
    assert not any(isinstance(part, nn.BatchNorm2d) for one in predicting for part in one.modules())
    assert any(isinstance(part, nn.BatchNorm2d) for part in model.auxiliary_head.modules())
    result = model._forward(images)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
    assert (result.argmax(1) == expected.argmax(1)).float().mean() > 0.9999


@torch.no_grad()
@pytest.mark.parametrize('norm', [None, NORM, dict(type='GN', num_groups=2)], ids=['none', 'BN', 'GN'])
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.filterwarnings('ignore:align_corners=True keeps')
def test_pooled_maps_are_convolved_before_they_are_enlarged(norm, align_corners):
    torch.manual_seed(0)
    head = PSPHead(
        in_channels=12,
        in_index=0,
        channels=8,
        num_classes=3,
        norm_cfg=norm,
        align_corners=align_corners,
        pool_scales=(1, 3, 6),
    ).eval()
    features = [torch.randn(2, 12, 9, 14)]
    expected = head(features)
    head.prepare_for_inference()
    assert isinstance(head.bottleneck, PyramidConv) and head.bottleneck.conv.in_channels == 12
    torch.testing.assert_close(head(features), expected, rtol=1e-4, atol=1e-5)


def test_a_pyramid_has_a_convolution_that_keeps_the_size():
    with pytest.raises(ValueError, match='3 x 3 convolution with padding 1'):
        PyramidConv(ConvModule(8, 4, 3), 4, False)


@pytest.mark.parametrize(
    ('size', 'dilation', 'options'),
    [((2, 13, 18), 1, {}), ((1, 8, 8), 2, {}), ((2, 17, 9), 3, dict(bias=False)), ((1, 5, 33), 4, {})],
)
@pytest.mark.parametrize('chunk', [winograd.CHUNK, 1])
def test_winograd_convolutions_are_convolutions(size, dilation, options, chunk, monkeypatch):
    monkeypatch.setattr(winograd, 'CHUNK', chunk)
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(256, 260, 3, padding=dilation, dilation=dilation, **options).requires_grad_(False)
    assert winograd.suits(conv)
    n, height, width = size
    x = torch.randn(n, 256, height, width, generator=generator)
    expected = conv.double()(x.double())
    result = winograd.WinogradConv2d(conv.float())(x)
    assert result.shape == expected.shape
    # rounding: the transforms multiply by up to 8, the outputs' standard deviation is about 0.5
    assert (result - expected).abs().max() < 1e-4


def test_other_convolutions_stay():
    conv = dict(in_channels=256, out_channels=256, kernel_size=3, padding=1)
    others = [
        dict(stride=2),
        dict(groups=2),
        dict(padding=0),
        dict(dilation=2),
        dict(padding=12, dilation=12),
        dict(padding_mode='reflect'),
        dict(out_channels=255),
        dict(kernel_size=1, padding=0),
        dict(dtype=torch.float16),
    ]
    for options in others:
        assert not winograd.suits(nn.Conv2d(**conv | options)), options
    part = winograd.replace(
        nn.Sequential(nn.Conv2d(**conv), nn.Sequential(nn.Conv2d(**conv), nn.Conv2d(**conv | others[0])))
    )
    kinds = [type(part[0]), type(part[1][0]), type(part[1][1])]
    assert kinds == [winograd.WinogradConv2d, winograd.WinogradConv2d, nn.Conv2d]


@torch.no_grad()
def test_wide_convolutions_are_replaced_and_the_prediction_stays(monkeypatch):
    monkeypatch.setattr(winograd, 'FEWEST_CHANNELS', 16)
    model, images = _model(), torch.randn(2, 3, 64, 96)
    expected = model._forward(images)
    assert folding.prepare_for_inference(model)
    predicting = [model.backbone, model.neck, model.decode_head]
    assert any(isinstance(part, winograd.WinogradConv2d) for one in predicting for part in one.modules())
    assert not any(isinstance(part, winograd.WinogradConv2d) for part in model.auxiliary_head.modules())
    result = model._forward(images)
    torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-4)
    assert (result.argmax(1) == expected.argmax(1)).float().mean() > 0.9999


@torch.no_grad()
def test_a_replacement_that_changes_the_logits_is_undone(monkeypatch):
    monkeypatch.setattr(winograd, 'FEWEST_CHANNELS', 16)
    monkeypatch.setattr(
        winograd.WinogradConv2d,
        'forward',
        lambda self, x: x.repeat(1, self.weight.shape[2] // x.shape[1], 1, 1),
    )
    model, images = _model(), torch.randn(1, 3, 64, 96)
    expected = model._forward(images)
    assert folding.prepare_for_inference(model)
    assert not any(isinstance(part, winograd.WinogradConv2d) for part in model.modules())
    torch.testing.assert_close(model._forward(images), expected, rtol=1e-4, atol=1e-5)


class _NormFirst(nn.Module):
    """Applies its batch norm before its convolution, though it is defined after it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3, affine=False)
        self.bn.running_mean.fill_(1.0)

    def forward(self, x):
        return self.conv(self.bn(x))


@torch.no_grad()
@pytest.mark.parametrize('broken', [False, True])
def test_what_can_not_be_folded_stays(broken):
    model, first = _model(), _NormFirst()
    forward = model.backbone.forward
    model.backbone.first = first
    model.backbone.forward = lambda x: forward(first(x))
    if broken:
        first.forward = lambda x: x.view(-1, 7)
    before = model.state_dict()
    assert not folding.prepare_for_inference(model)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())


@torch.no_grad()
@pytest.mark.parametrize('count', [1, 2])
def test_windows_at_once_are_windows_one_by_one(count):
    slide = dict(mode='slide', crop_size=(32, 48), stride=(20, 32))
    model, images = _model(test_cfg=slide), torch.randn(count, 3, 75, 130)
    sizes = []
    model.backbone.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    metas = [dict(img_shape=(75, 130), ori_shape=(75, 130))] * count
    expected = model.inference(images, metas)
    windows = len(sizes)
    assert set(sizes) == {count} and windows > 6
    model.test_cfg = slide | dict(windows=4)
    sizes.clear()
    torch.testing.assert_close(model.inference(images, metas), expected, rtol=1e-4, atol=1e-5)
    assert len(sizes) == -(-windows // 4) and max(sizes) == 4 * count


def test_images_of_different_size_in_one_batch():
    model, shapes = _model(), [(32, 64), (48, 32), (32, 64)]
    images = [torch.randint(0, 255, (3, *shape), dtype=torch.uint8) for shape in shapes]

    def data(indices):
        samples = [
            SegDataSample(
                gt_sem_seg=PixelData(data=torch.full((1, *shapes[i]), i)),
                metainfo=dict(img_shape=shapes[i], ori_shape=shapes[i]),
            )
            for i in indices
        ]
        return dict(inputs=[images[i] for i in indices], data_samples=samples)

    with torch.no_grad():
        results = model.val_step(data([0, 1, 2]))
        single = [model.test_step(data([i]))[0] for i in range(3)]
    for index, (result, expected) in enumerate(zip(results, single, strict=True)):
        assert result.gt_sem_seg.data.unique().item() == index
        torch.testing.assert_close(result.seg_logits.data, expected.seg_logits.data, rtol=1e-3, atol=1e-3)


def test_a_test_alone_folds_and_gives_the_same(experiment, tmp_path):
    options = {
        'model.backbone.norm_cfg': dict(type='BN', _delete_=True),
        'model.decode_head.norm_cfg': dict(type='BN', _delete_=True),
        'train_cfg.max_iters': 2,
        'test_dataloader.batch_size': 3,
    }
    trained = build_runner(experiment(**options))
    trained.train()
    expected = trained.test()
    runner = build_runner(
        experiment(**options, load_from=f'{trained.work_dir}/iter_2.pth', work_dir=str(tmp_path / 'test'))
    )
    runner.only_tests = True
    metrics = runner.test()
    assert not any(isinstance(part, nn.BatchNorm2d) for part in runner.model.modules())
    assert metrics.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, atol=0.02)
