"""Residual linear interpolation and the edited attention, layer by layer."""

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from augment.diffusion.attention import (
    AttentionProcessors,
    EditAttention,
    edited_cross_attention,
    edited_self_attention,
)
from augment.diffusion.control import AttentionControl
from augment.diffusion.local_blend import BlendOptions, LocalBlend, coarsest_map
from augment.diffusion.mixing import ColumnMix
from augment.diffusion.prompts import Alignment

TOKENS = 5
# Target: token 0 as in the source, 1 new, 2 takes over source token 1, 3 and 4 padding.
ALIGNMENT = Alignment(torch.tensor([0, 0, 1, 3, 4]), torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0]))


@pytest.fixture
def unet(tiny_model):
    before = tiny_model.unet.attn_processors
    yield tiny_model.unet
    assert tiny_model.unet.attn_processors == before


def predict(unet, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sample, tokens = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 77, 64, generator=generator)
    conditions = {'text_embeds': torch.randn(2, 32, generator=generator), 'time_ids': torch.ones(2, 6)}
    with torch.no_grad():
        return unet(sample, 300, encoder_hidden_states=tokens, added_cond_kwargs=conditions).sample


def record_layers(unet, alpha):
    """Input, context and output of every attention layer in one pass with interpolation ``alpha``."""
    seen, handles = {}, []
    for name, layer in unet.named_modules():
        if isinstance(layer, Attention):

            def hook(module, args, kwargs, output, name=name):
                seen[name] = (args[0], kwargs.get('encoder_hidden_states'), output)

            handles.append(layer.register_forward_hook(hook, with_kwargs=True))
    try:
        with AttentionProcessors(unet, alpha).installed():
            predict(unet)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def test_alpha_zero_changes_no_bit(unet):
    plain = predict(unet)
    with AttentionProcessors(unet, 0.0).installed():
        assert torch.equal(predict(unet), plain)


def test_alpha_one_makes_up_block_self_attention_the_identity(unet):
    seen = record_layers(unet, 1.0)
    hit = [name for name, (layer_input, _, output) in seen.items() if torch.equal(layer_input, output)]
    assert hit == [name for name in seen if name.startswith('up_blocks.') and name.endswith('attn1')]
    assert len(hit) == 4  # two up blocks with attention, layers_per_block + 1 layers in each


def test_other_layers_are_untouched_and_up_blocks_interpolate(unet):
    with torch.no_grad():
        for name, (layer_input, context, output) in record_layers(unet, 0.1).items():
            plain = AttnProcessor2_0()(unet.get_submodule(name), layer_input, context)
            if name.startswith('up_blocks.') and name.endswith('attn1'):
                assert not torch.equal(output, plain)
                torch.testing.assert_close(output, 0.9 * plain + 0.1 * layer_input)
            else:
                assert torch.equal(output, plain)


def identity_layer(**options):
    layer = Attention(query_dim=2, heads=1, dim_head=2, out_bias=False, **options)
    with torch.no_grad():
        for projection in (layer.to_q, layer.to_k, layer.to_v, layer.to_out[0]):
            projection.weight.copy_(torch.eye(2))
    return layer


def test_interpolation_by_hand():
    # q = k = v = x = I: scores are 1/sqrt(2) on the diagonal and 0 beside it, so a row of the map is
    # (e^0.70711, 1) / (e^0.70711 + 1) = (0.669762, 0.330238), and the map is the output. With alpha 1/4:
    # 3/4 * 0.669762 + 1/4 = 0.752321 and 3/4 * 0.330238 = 0.247679.
    layer = identity_layer(processor=EditAttention(0.25))
    output = layer(torch.eye(2)[None])
    expected = torch.tensor([[[0.752321, 0.247679], [0.247679, 0.752321]]])
    torch.testing.assert_close(output, expected, atol=1e-6, rtol=0)


def test_the_layers_own_residual_comes_after_interpolation():
    x = torch.eye(2)[None]
    layer = identity_layer(processor=EditAttention(1.0), residual_connection=True)
    torch.testing.assert_close(layer(x), 2 * x)


def test_image_shaped_input_with_norm_and_residual_equals_diffusers():
    torch.manual_seed(0)
    layer = Attention(
        8, heads=2, dim_head=4, norm_num_groups=2, residual_connection=True, rescale_output_factor=2.0
    )
    x = torch.randn(2, 8, 3, 5)
    assert torch.equal(EditAttention()(layer, x), AttnProcessor2_0()(layer, x))


def test_processors_come_back_after_an_error(unet):
    before = unet.attn_processors
    with pytest.raises(RuntimeError, match='inside'), AttentionProcessors(unet, 0.1).installed():
        assert all(isinstance(p, EditAttention) for p in unet.attn_processors.values())
        raise RuntimeError('inside')
    assert unet.attn_processors == before


def unet_without(up: str, down: str):
    return UNet2DConditionModel(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=(down, 'DownBlock2D'),
        up_block_types=(up, 'UpBlock2D'),
        mid_block_type=None,
        attention_head_dim=2,
        cross_attention_dim=8,
    )


def test_no_layer_to_hook_is_an_error():
    bare = unet_without('UpBlock2D', 'CrossAttnDownBlock2D')
    with pytest.raises(ValueError, match='no self-attention in up blocks'):
        AttentionProcessors(bare, 0.1)
    with AttentionProcessors(bare, 0.0).installed():
        pass
    control = AttentionControl(1, ColumnMix(ALIGNMENT, [1], 2.0))
    bare = unet_without('UpBlock2D', 'DownBlock2D')
    with pytest.raises(ValueError, match='no cross-attention'):
        AttentionProcessors(bare, 0.0, control)
    with pytest.raises(ValueError, match='no cross-attention'):
        coarsest_map(bare, (8, 8))
    with pytest.raises(ValueError, match=r'rli_alpha is 1\.5'):
        AttentionProcessors(bare, 1.5)


def maps_of(query, key, scale):
    return (query @ key.transpose(-1, -2) * scale).softmax(dim=-1)


def cross_inputs(images=2, extra=3, positions=6):
    """Query and key of [extra | source * N | target * N]; with unit vectors as values, the output is the map."""
    generator = torch.Generator().manual_seed(1)
    rows = extra + 2 * images
    query = torch.randn(rows, 2, positions, TOKENS, generator=generator)
    key = torch.randn(rows, 2, TOKENS, TOKENS, generator=generator)
    return query, key, torch.eye(TOKENS).expand(rows, 2, TOKENS, TOKENS)


def test_edited_cross_attention_is_the_published_map():
    query, key, value = cross_inputs()
    control = AttentionControl(2, ColumnMix(ALIGNMENT, [1], 2.0))
    output = edited_cross_attention(query, key, value, control, scale=0.5)
    maps = maps_of(query, key, 0.5)
    assert torch.allclose(output[:5], maps[:5], atol=1e-6)  # everything before the targets is untouched
    source, target = maps[3:5], maps[5:7]
    expected = torch.stack(
        [source[..., 0], 2 * target[..., 1], source[..., 1], source[..., 3], source[..., 4]], dim=-1
    )
    torch.testing.assert_close(output[5:], expected, atol=1e-6, rtol=1e-5)


def test_reweighting_multiplies_the_words_column_and_nothing_else():
    query, key, value = cross_inputs()
    once, thrice = (
        edited_cross_attention(query, key, value, AttentionControl(2, ColumnMix(ALIGNMENT, [1], eq)), 0.5)
        for eq in (1.0, 3.0)
    )
    factor = torch.tensor([1.0, 3.0, 1.0, 1.0, 1.0])
    torch.testing.assert_close(thrice[5:], once[5:] * factor, atol=1e-6, rtol=1e-5)
    assert torch.equal(thrice[:5], once[:5])


def test_a_shared_word_can_be_reweighted_too():
    query, key, value = cross_inputs()
    output = edited_cross_attention(
        query, key, value, AttentionControl(2, ColumnMix(ALIGNMENT, [2], 4.0)), 0.5
    )
    torch.testing.assert_close(output[5:, ..., 2], 4 * maps_of(query, key, 0.5)[3:5, ..., 1])


def test_edited_self_attention_gives_targets_their_sources_map():
    query, key, _ = cross_inputs(positions=TOKENS)
    value = torch.randn(7, 2, TOKENS, TOKENS, generator=torch.Generator().manual_seed(2))
    output = edited_self_attention(
        query, key, value, AttentionControl(2, ColumnMix(ALIGNMENT, [1], 2.0)), 0.5
    )
    maps = maps_of(query, key, 0.5)
    torch.testing.assert_close(output[:5], (maps @ value)[:5])
    torch.testing.assert_close(output[5:], maps[3:5] @ value[5:])


@pytest.mark.parametrize(('limit', 'replaced'), [(6, True), (5, False)])
def test_self_attention_is_replaced_up_to_the_given_number_of_positions(limit, replaced):
    torch.manual_seed(0)
    layer, x = Attention(8, heads=2, dim_head=4), torch.randn(3, 6, 8)
    control = AttentionControl(
        1, ColumnMix(ALIGNMENT, [1], 2.0), self_max_positions=limit, self_attention=True
    )
    edited, plain = EditAttention(control=control)(layer, x), AttnProcessor2_0()(layer, x)
    assert torch.allclose(edited[:2], plain[:2], atol=1e-6)
    assert torch.allclose(edited[2], plain[2], atol=1e-4) is not replaced


def test_targets_of_several_words_take_over_the_maps_of_one_source():
    """Rows ``[extra | 2 sources | 2 targets | 2 targets]`` equal two batches of one word each."""
    query, key, value = cross_inputs(images=3, extra=3)
    mixes = [ColumnMix(ALIGNMENT, [1], 2.0), ColumnMix(ALIGNMENT, [2], 3.0)]
    both = AttentionControl(2, ColumnMix.stack(mixes))
    for edited in (edited_cross_attention, edited_self_attention):
        output = edited(query, key, value, both, 0.5)
        for word, mix in enumerate(mixes):
            rows = [0, 1, 2, 3, 4, 5 + 2 * word, 6 + 2 * word]
            alone = edited(query[rows], key[rows], value[rows], AttentionControl(2, mix), 0.5)
            torch.testing.assert_close(output[rows], alone)


def test_paused_control_is_plain_attention_and_is_restored():
    control = AttentionControl(1, ColumnMix(ALIGNMENT, [1], 2.0), cross=True, self_attention=True)
    with control.paused():
        assert control.phase() == (False, False, 1024, False)
    assert control.phase() == (True, True, 1024, False)


def test_local_blend_sums_over_the_words_tokens_and_heads():
    query, key, _ = cross_inputs(images=1, extra=0)
    maps = LocalBlend((2, 3), torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.0]]))
    maps.add(query[1:], key[1:], 0.5)
    expected = maps_of(query, key, 0.5)[1, ..., 1:3].sum(dim=(0, 2))
    torch.testing.assert_close(maps.total[0].flatten(), expected)


def test_local_blend_adds_the_maps_as_they_are_used():
    query, key, value = cross_inputs(images=1, extra=0)
    control = AttentionControl(1, ColumnMix(ALIGNMENT, [1], 2.0))
    maps = LocalBlend((2, 3), torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.0]]))
    maps.add(query, key, 0.5, control.mix)
    # With unit vectors as values the output of edited attention is the edited map.
    edited = edited_cross_attention(query, key, value, control, 0.5)
    torch.testing.assert_close(maps.total[0].flatten(), edited[1, ..., 1:3].sum(dim=(0, 2)))


@pytest.mark.parametrize(
    ('blocks', 'read'),
    [('down-up', {'down', 'up'}), ('down', {'down'}), ('up', {'up'}), ('all', {'down', 'mid', 'up'})],
)
def test_local_blend_reads_the_named_blocks_at_its_resolution(unet, blocks, read):
    maps = LocalBlend((2, 2), torch.zeros(1, 77), BlendOptions(blocks=blocks))
    queries = []
    plain = maps.reads

    def reads(block, query):
        if plain(block, query):
            queries.append((block, query.shape[2]))
        return False

    maps.reads = reads
    control = AttentionControl(1, ColumnMix(ALIGNMENT, [1], 2.0), local_blend=maps)
    with AttentionProcessors(unet, 0.0, control).installed():
        predict(unet)
    assert {block for block, _ in queries} == read and {size for _, size in queries} == {4}


def test_coarsest_map_keeps_true_height_and_width(unet):
    assert coarsest_map(unet, (8, 8)) == (2, 2)
    assert coarsest_map(unet, (10, 17)) == (3, 5)
