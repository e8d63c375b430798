"""Pooling, attention blocks and what heads refuse; the figures of whole models are in ``test_parity*.py``."""

import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.context_block import ContextBlock as ReferenceContextBlock
from mmcv.cnn.bricks.non_local import NonLocal2d as ReferenceNonLocal2d
from torch import nn

from mmseg.models import (
    ANNHead,
    APCHead,
    ASPPHead,
    BaseCascadeDecodeHead,
    ContextBlock,
    DepthwiseSeparableASPPHead,
    GCHead,
    NonLocal2d,
    OCRHead,
    PSAHead,
    PSPHead,
    SelfAttentionBlock,
)
from mmseg.models.decode_heads.cc_head import CrissCrossAttention
from mmseg.models.utils.pooling import adaptive_avg_pool, check_pooled_batch
from mmseg.models.utils.self_attention_block import attention
from mmseg.registry import MODELS

BN = dict(type='BN')
HEAD = dict(in_channels=16, in_index=0, channels=8, num_classes=3, norm_cfg=BN)


def features(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomise(module, seed=0):
    """Weights without the zeros that attention blocks begin with."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module


class TestPooling:
    @pytest.mark.parametrize('size', [(7, 9), (16, 16), (5, 3), (2, 1)])
    @pytest.mark.parametrize('cells', [1, 2, 3, 6, 8, (2, 3)])
    def test_is_adaptive_average_pooling(self, size, cells):
        x = features(2, 4, *size).requires_grad_()
        expected, actual = F.adaptive_avg_pool2d(x, cells), adaptive_avg_pool(x, cells)
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)
        upstream = features(*expected.shape, seed=1)
        (one,) = torch.autograd.grad(expected, x, upstream)
        (other,) = torch.autograd.grad(actual, x, upstream)
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_half_precision_neither_overflows_nor_drifts(self, dtype):
        # 4096 values of 300 add up to 1.2e6, more than float16 holds; 300 itself is exact in both.
        x = torch.full((1, 2, 128, 128), 300.0, dtype=dtype)
        assert adaptive_avg_pool(x, 2).dtype is dtype and adaptive_avg_pool(x, 2).eq(300).all()

    def test_one_value_per_channel_is_refused_only_where_batch_statistics_are_computed(self):
        conv = ConvModule(4, 4, 1, norm_cfg=BN)
        alone, pair = features(1, 4, 1, 1), features(2, 4, 1, 1)
        with pytest.raises(ValueError, match=r'somewhere: .*batch_size.*drop_last.*norm_cfg'):
            check_pooled_batch(alone, conv, 'somewhere')
        assert check_pooled_batch(pair, conv, 'somewhere') is pair
        assert check_pooled_batch(alone, conv.eval(), 'somewhere') is alone
        grouped = ConvModule(4, 4, 1, norm_cfg=dict(type='GN', num_groups=2))
        assert check_pooled_batch(alone, grouped, 'somewhere') is alone

    @pytest.mark.parametrize('head', [PSPHead, ASPPHead, APCHead])
    def test_heads_with_a_global_branch_reject_single_images_with_a_remedy(self, head):
        with pytest.raises(ValueError, match='batch_size'):
            head(**HEAD).train()([features(1, 16, 5, 5)])
        assert head(**HEAD).eval()([features(1, 16, 5, 5)]).shape == (1, 3, 5, 5)


class TestAttention:
    def test_criss_cross_is_softmax_over_row_and_column(self):
        attention = randomise(CrissCrossAttention(16)).double()
        x = features(2, 16, 4, 5).double()
        query, key, value = attention.query_conv(x), attention.key_conv(x), attention.value_conv(x)
        expected = torch.empty_like(x)
        for i in range(4):
            for j in range(5):
                cross = [(k, j) for k in range(4) if k != i] + [(i, k) for k in range(5)]
                keys = torch.stack([key[:, :, a, b] for a, b in cross], 2)
                values = torch.stack([value[:, :, a, b] for a, b in cross], 2)
                weight = (query[:, :, i, j].unsqueeze(1) @ keys).softmax(2)
                expected[:, :, i, j] = (weight * values).sum(2)
        torch.testing.assert_close(attention(x), attention.gamma.scale.double() * expected + x)

    @pytest.mark.parametrize('size', [(1, 4), (4, 1), (1, 1)])
    def test_criss_cross_of_a_single_line_is_finite(self, size):
        assert randomise(CrissCrossAttention(8))(features(1, 8, *size)).isfinite().all()

    @pytest.mark.parametrize('mode', ['gaussian', 'embedded_gaussian', 'dot_product', 'concatenation'])
    @pytest.mark.parametrize('sub_sample', [False, True])
    @pytest.mark.parametrize('use_scale', [False, True])
    def test_non_local_equals_mmcv(self, mode, sub_sample, use_scale):
        options = dict(in_channels=8, mode=mode, sub_sample=sub_sample, use_scale=use_scale)
        ours, theirs = randomise(NonLocal2d(**options)), randomise(ReferenceNonLocal2d(**options))
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        x = features(2, 8, 7, 6)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize('pooling_type', ['att', 'avg'])
    @pytest.mark.parametrize(
        'fusion_types', [['channel_add'], ('channel_mul',), ('channel_add', 'channel_mul')]
    )
    def test_context_block_equals_mmcv(self, pooling_type, fusion_types):
        options = dict(in_channels=8, ratio=0.5, pooling_type=pooling_type, fusion_types=fusion_types)
        ours, theirs = randomise(ContextBlock(**options)), randomise(ReferenceContextBlock(**options))
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        x = features(2, 8, 7, 6)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)

    def test_plugins_of_this_package_are_these_blocks(self):
        assert MODELS.get('ContextBlock') is ContextBlock and MODELS.get('NonLocal2d') is NonLocal2d

    @pytest.mark.parametrize('matmul_norm', [False, True])
    def test_self_attention_with_pooled_queries_keeps_the_size(self, matmul_norm):
        block = SelfAttentionBlock(
            key_in_channels=4,
            query_in_channels=6,
            channels=5,
            out_channels=7,
            share_key_query=False,
            query_downsample=nn.MaxPool2d(2),
            key_downsample=None,
            key_query_num_convs=2,
            value_out_num_convs=1,
            key_query_norm=False,
            value_out_norm=False,
            matmul_norm=matmul_norm,
            with_out=True,
            conv_cfg=None,
            norm_cfg=None,
            act_cfg=None,
        )
        randomise(block)
        query_map, key_map = features(2, 6, 8, 4), features(2, 4, 3, 3, seed=1)
        query = F.max_pool2d(block.query_project(query_map), 2).flatten(2)
        weight = query.transpose(1, 2) @ block.key_project(key_map).flatten(2)
        weight = (weight / 5**0.5 if matmul_norm else weight).softmax(2)
        context = block.value_project(key_map).flatten(2) @ weight.transpose(1, 2)
        expected = F.interpolate(block.out_project(context.view(2, 5, 4, 2)), (8, 4), mode='bilinear')
        torch.testing.assert_close(block(query_map, key_map), expected, rtol=1e-4, atol=1e-5)

    def test_shared_projections_need_equal_inputs(self):
        with pytest.raises(ValueError, match='share a projection but have 4 and 6'):
            SelfAttentionBlock(4, 6, 4, 4, True, None, None, 1, 1, False, False, True, True, None, None, None)


class TestHeads:
    def test_ann_works_without_dropout_and_with_pooled_queries(self):
        options = {**HEAD, 'in_channels': [8, 16], 'in_index': [0, 1], 'dropout_ratio': 0}
        head = ANNHead(project_channels=4, query_scales=[1, 2], **options).eval()
        assert head([features(1, 8, 7, 5), features(1, 16, 7, 5)]).shape == (1, 3, 7, 5)
        with pytest.raises(ValueError, match='two inputs'):
            ANNHead(project_channels=4, **{**options, 'in_channels': [8, 8, 8], 'in_index': [0, 1, 2]})

    def test_separable_aspp_with_and_without_the_first_output(self):
        feats = [features(1, 4, 20, 12), features(1, 16, 5, 3)]
        for c1, size in (((4, 2), (20, 12)), ((0, 0), (5, 3))):
            head = DepthwiseSeparableASPPHead(*c1, **{**HEAD, 'in_index': 1}).eval()
            assert head(feats).shape == (1, 3, *size)
        with pytest.raises(ValueError, match='both positive, or both 0'):
            DepthwiseSeparableASPPHead(0, 48, **HEAD)

    @pytest.mark.parametrize(
        'options', [dict(pooling_type='max'), dict(fusion_types=[]), dict(fusion_types=['add'])]
    )
    def test_gc_errors_list_the_choices(self, options):
        with pytest.raises(ValueError, match="'att' or 'avg' and fusion_types holds"):
            GCHead(**options, **HEAD)

    def test_ocr_attends_to_class_descriptors(self):
        head = OCRHead(ocr_channels=4, scale=2, **HEAD).eval()
        assert isinstance(head, BaseCascadeDecodeHead)
        assert head([features(1, 16, 6, 8)], features(1, 3, 3, 4, seed=1)).shape == (1, 3, 6, 8)

    def test_psa_names_the_types_and_the_size_of_a_compact_mask(self):
        with pytest.raises(ValueError, match=r"'collect', 'distribute', 'bi-direction'.*got 'both'"):
            PSAHead(mask_size=(3, 3), psa_type='both', **HEAD)
        head = PSAHead(mask_size=(3, 4), compact=True, **HEAD).eval()
        assert head([features(1, 16, 6, 8)]).shape == (1, 3, 6, 8)
        with pytest.raises(ValueError, match=r'mask_size \(3, 4\) after shrink_factor 2, got \(4, 4\)'):
            head([features(1, 16, 8, 8)])


class TestCascade:
    def build(self, **options):
        head = dict(in_channels=8, in_index=3, channels=8, num_classes=3, norm_cfg=BN, dropout_ratio=0)
        backbone = dict(type='ResNet', depth=18, base_channels=1, stem_channels=4)
        heads = [dict(type='FCNHead', num_convs=1, **head)] + [
            dict(type='OCRHead', ocr_channels=4, **head)
        ] * 2
        model = dict(type='CascadeEncoderDecoder', num_stages=3, backbone=backbone, decode_head=heads)
        torch.manual_seed(0)
        return MODELS.build({**model, **options})

    def test_each_head_has_its_losses_and_runs_once(self):
        model = self.build().train()
        losses = model.loss_tensors(features(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.long))
        assert set(losses) == {f'decode_{i}.{name}' for i in range(3) for name in ('loss_ce', 'acc_seg')}
        assert [head.convs[0].bn.num_batches_tracked.item() for head in model.decode_head[:1]] == [1]
        assert [head.bottleneck.bn.num_batches_tracked.item() for head in model.decode_head[1:]] == [1, 1]

    def test_the_last_head_predicts(self):
        model = self.build().eval()
        images = features(1, 3, 64, 64)
        with torch.no_grad():
            tensor = model(images)
            before = model.decode_head[2].conv_seg.bias.clone()
            model.decode_head[2].conv_seg.bias += 1
            torch.testing.assert_close(model(images), tensor + 1)
            model.decode_head[2].conv_seg.bias.copy_(before)
            sample = model.predict(images)[0]
            resized = F.interpolate(tensor, (64, 64), mode='bilinear')[0]
        torch.testing.assert_close(sample.seg_logits.data, resized)

    def test_number_of_heads_is_checked(self):
        with pytest.raises(ValueError, match='num_stages=2 configs, got 3 of them'):
            self.build(num_stages=2)
        with pytest.raises(ValueError, match='got one dict'):
            self.build(decode_head=dict(type='FCNHead'))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(('width', 'values'), [(8, 8), (8, 24), (300, 300)])
def test_attention_is_the_same_in_training_and_prediction(width, values, dtype):
    shapes = (2, 1, 30, width), (2, 1, 20, width), (2, 1, 20, values)
    query, key, value = (torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes)
    with torch.autocast('cpu', torch.bfloat16, enabled=dtype is torch.bfloat16):
        trained = attention(query, key, value, scale=width**-0.5)
        with torch.no_grad():
            predicted = attention(query, key, value, scale=width**-0.5)
    assert trained.dtype == predicted.dtype == dtype
    # bfloat16 has 8 bits
    torch.testing.assert_close(
        trained, predicted, **({} if dtype is torch.float32 else dict(rtol=2e-2, atol=2e-2))
    )
    trained.float().square().sum().backward()
    assert all(part.grad is not None for part in (query, key, value))
