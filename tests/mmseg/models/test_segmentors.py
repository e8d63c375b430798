"""EncoderDecoder, BaseDecodeHead and SegTTAModel on a backbone small enough to compute by hand."""

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.structures import PixelData

from mmseg.models import build_loss, build_segmentor, stack_gt
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample


@MODELS.register_module()
class HalvedImage(BaseModule):
    """Two feature maps: the image at half and at quarter size."""

    def forward(self, x):
        return x[:, :, ::2, ::2], x[:, :, ::4, ::4]


FOCAL = dict(type='FocalLoss', use_sigmoid=False, alpha=[0.1, 0.3, 0.6])


def build(head=None, **kwargs):
    """Head of a 1x1 classifier on the half-size image."""
    head = {
        **dict(
            type='FCNHead',
            in_channels=3,
            channels=3,
            num_convs=0,
            concat_input=False,
            num_classes=3,
            in_index=0,
        ),
        **(head or {}),
    }
    torch.manual_seed(0)
    cfg = dict(type='EncoderDecoder', backbone=dict(type='HalvedImage'), decode_head=head, **kwargs)
    return MODELS.build(cfg).eval()


def image(n=1, height=8, width=12):
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(1))


def samples(n=1, height=8, width=12, **meta):
    label = torch.zeros(1, height, width, dtype=torch.long)
    label[:, 2:4, 3:5], label[:, 5, 6] = 1, 2
    meta = {'img_shape': (height, width), 'ori_shape': (height, width), **meta}
    return [SegDataSample(gt_sem_seg=PixelData(data=label.clone()), metainfo=meta) for _ in range(n)]


def test_loss_names_follow_heads_and_losses():
    aux = dict(
        type='FCNHead',
        in_channels=3,
        channels=3,
        num_convs=0,
        concat_input=False,
        num_classes=3,
        loss_decode=FOCAL,
    )
    dice = dict(type='DiceLoss', loss_weight=0.5)
    model = build(
        dict(loss_decode=[FOCAL, dice]), auxiliary_head=[{**aux, 'in_index': 1}, {**aux, 'in_index': 0}]
    )
    assert set(model.loss(image(), samples())) == {
        'decode.loss_focal',
        'decode.loss_dice',
        'decode.acc_seg',
        'aux_0.loss_focal',
        'aux_0.acc_seg',
        'aux_1.loss_focal',
        'aux_1.acc_seg',
    }


def test_equal_loss_names_add_up():
    once, twice = build(dict(loss_decode=FOCAL)), build(dict(loss_decode=[FOCAL, FOCAL]))
    single = once.loss(image(), samples())['decode.loss_focal']
    assert twice.loss(image(), samples())['decode.loss_focal'].item() == pytest.approx(2 * single.item())


def test_the_tensor_core_and_the_public_loss_agree():
    model = build(dict(loss_decode=FOCAL, sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10)))
    batch = samples(2)
    public, core = model.loss(image(2), batch), model.loss_tensors(image(2), stack_gt(batch))
    assert public.keys() == core.keys()
    assert all(torch.equal(public[name], core[name]) for name in public)


def test_a_training_step_stacks_images_and_labels_once(monkeypatch):
    model = build(dict(loss_decode=FOCAL), data_preprocessor=dict(type='SegDataPreProcessor', size=(8, 12)))
    stacked = []
    stack = torch.stack
    monkeypatch.setattr(torch, 'stack', lambda tensors, *args: stacked.append(1) or stack(tensors, *args))
    data = model.data_preprocessor(dict(inputs=list(image(2)), data_samples=samples(2)), True)
    losses = model(**data, mode='loss')
    assert len(stacked) == 2
    assert losses['decode.loss_focal'] == model.loss(image(2), samples(2))['decode.loss_focal']


def test_a_subclass_that_overrides_loss_is_trained_through_it():
    class Halved(type(build())):
        def loss(self, inputs, data_samples):
            return dict(loss=torch.tensor(float(len(data_samples))))

    model = build()
    model.__class__ = Halved
    assert model(image(2), samples(2), mode='loss', gt=stack_gt(samples(2)))['loss'] == 2


def test_the_tensor_core_compiles_as_one_graph():
    model = build(dict(loss_decode=FOCAL))
    compiled = torch.compile(model.loss_tensors, backend='eager', fullgraph=True)
    batch = stack_gt(samples(2))
    eager = model.loss_tensors(image(2), batch)
    assert {k: v.item() for k, v in compiled(image(2), batch).items()} == {
        k: v.item() for k, v in eager.items()
    }


def test_prediction_undoes_padding_flip_and_resize():
    model = build()
    pixels = image(1, 8, 12)
    plain = model.predict(pixels, samples())[0].seg_logits.data
    padded = model.predict(pixels, samples(img_padding_size=(0, 4, 0, 2), ori_shape=(6, 8)))[
        0
    ].seg_logits.data
    assert torch.equal(padded, plain[:, :6, :8])
    for direction, dims in dict(horizontal=(-1,), vertical=(-2,), diagonal=(-1, -2)).items():
        flipped = model.predict(pixels, samples(flip=True, flip_direction=direction))[0].seg_logits.data
        assert torch.equal(flipped, plain.flip(dims)), direction
    larger = model.predict(pixels, samples(ori_shape=(16, 24)))[0]
    assert larger.seg_logits.data.shape == (3, 16, 24) and larger.pred_sem_seg.data.shape == (1, 16, 24)


def test_prediction_without_samples_keeps_the_network_size():
    prediction = build().predict(image(2, 8, 12))
    assert len(prediction) == 2 and prediction[0].pred_sem_seg.data.shape == (1, 8, 12)


def test_windows_that_do_not_overlap_are_placed_side_by_side():
    model = build(test_cfg=dict(mode='slide', crop_size=(8, 8), stride=(8, 8)))
    pixels = image(1, 16, 24)
    slid = model.inference(pixels, [dict(ori_shape=(16, 24), img_shape=(16, 24))])
    for top in (0, 8):
        for left in (0, 8, 16):
            rows, columns = slice(top, top + 8), slice(left, left + 8)
            window = model.encode_decode(pixels[:, :, rows, columns], [dict(img_shape=(8, 8))])
            assert torch.equal(slid[:, :, rows, columns], window)


def test_overlapping_windows_are_averaged_and_the_last_is_moved_back():
    model = build(test_cfg=dict(mode='slide', crop_size=(8, 8), stride=(8, 6)))
    pixels = image(1, 8, 12)  # windows start at columns 0 and min(6, 12 - 8) = 4
    slid = model.inference(pixels, [dict(ori_shape=(8, 12), img_shape=(8, 12))])
    left, right = (model.encode_decode(pixels[..., x : x + 8], [dict(img_shape=(8, 8))]) for x in (0, 4))
    assert torch.allclose(slid[..., :4], left[..., :4]) and torch.allclose(slid[..., 8:], right[..., 4:])
    assert torch.allclose(slid[..., 4:8], (left[..., 4:] + right[..., :4]) / 2)


def test_one_channel_heads_predict_by_their_threshold():
    binary = dict(
        num_classes=2,
        out_channels=1,
        threshold=0.4,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
    )
    prediction = build(binary).predict(image(), samples())[0]
    probability = prediction.seg_logits.data
    assert torch.equal(prediction.pred_sem_seg.data, (probability > 0.4).float())
    assert 0 < prediction.pred_sem_seg.data.mean() < 1


def test_tta_averages_probabilities_of_flipped_copies():
    model = build()
    pixels = image()
    plain = model.predict(pixels, samples())[0]
    mirrored = model.predict(pixels.flip(-1), samples(flip=True, flip_direction='horizontal'))[0]
    expected = (plain.seg_logits.data.softmax(0) + mirrored.seg_logits.data.softmax(0)).argmax(
        0, keepdim=True
    )
    tta = MODELS.build(dict(type='SegTTAModel', module=model))
    merged = tta.merge_preds([[plain, mirrored]])[0]
    assert torch.equal(merged.pred_sem_seg.data, expected)
    assert torch.equal(merged.gt_sem_seg.data, plain.gt_sem_seg.data)
    mean = (plain.seg_logits.data.softmax(0) + mirrored.seg_logits.data.softmax(0)) / 2
    torch.testing.assert_close(merged.seg_logits.data.softmax(0), mean)


@pytest.mark.parametrize(
    ('head', 'words'),
    [
        (dict(out_channels=2), 'out_channels equals num_classes'),
        (dict(input_transform='concat'), "'resize_concat'"),
        (dict(in_channels=[3, 3]), 'single integers'),
        (dict(in_channels=[3, 3], in_index=[0], input_transform='multiple_select'), 'lists of equal length'),
        (dict(channels=5), 'num_convs=0 needs'),
    ],
)
def test_heads_refuse_arguments_that_do_not_fit(head, words):
    with pytest.raises(ValueError, match=words):
        build(head)


def test_errors_name_the_remedy():
    with pytest.raises(ValueError, match='LoadAnnotations'):
        build().loss(image(), [SegDataSample(metainfo=dict(img_path='blade.png'))])
    with pytest.raises(ValueError, match='differ in size'):
        stack_gt(samples(1, 8, 12) + samples(1, 8, 10))
    with pytest.raises(ValueError, match='crop_size and stride'):
        build(test_cfg=dict(mode='slide')).predict(image(), samples())
    with pytest.raises(ValueError, match="'slide' or 'whole'"):
        build(test_cfg=dict(mode='window')).predict(image(), samples())
    with pytest.raises(RuntimeError, match='mode is'):
        build()(image(), mode='train')
    with pytest.raises(ValueError, match='keep one'):
        MODELS.build(
            dict(
                type='EncoderDecoder',
                backbone=dict(type='FastSCNN', pretrained='a'),
                decode_head={},
                pretrained='b',
            )
        )


def test_the_older_builders_build_and_say_so():
    cfg = dict(
        type='EncoderDecoder',
        backbone=dict(type='HalvedImage'),
        decode_head=dict(
            type='FCNHead',
            in_channels=3,
            channels=3,
            num_convs=0,
            concat_input=False,
            num_classes=3,
            in_index=0,
        ),
    )
    with pytest.warns(DeprecationWarning, match='build_segmentor'):
        model = build_segmentor(cfg, test_cfg=dict(mode='whole'))
    assert model.test_cfg == dict(mode='whole')
    with pytest.raises(ValueError, match='test_cfg'):
        build_segmentor({**cfg, 'test_cfg': {}}, test_cfg={})
    with pytest.warns(DeprecationWarning, match='build_loss'):
        assert build_loss(FOCAL).loss_name == 'loss_focal'
