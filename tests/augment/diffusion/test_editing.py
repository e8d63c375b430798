"""Prompt-to-prompt on the tiny model."""

import copy

import pytest
import torch

import augment.diffusion.attention
from augment.diffusion.control import AttentionControl
from augment.diffusion.editing import EditOptions, Target, edit, edit_words, reconstruct, share_of_steps
from augment.diffusion.inversion import invert
from augment.diffusion.local_blend import BlendOptions, LocalBlend
from augment.diffusion.mixing import ColumnMix
from augment.diffusion.model import EditModel, NonFiniteError, PromptEmbeddings
from augment.diffusion.prompts import align_tokens, word_positions
from augment.diffusion.sampling import Sampler, ddim_schedule

SOURCE, TARGET, WORD = 'photo of a crack', 'photo of a crack with peeling', 'peeling'
STEPS = 5


@pytest.fixture(scope='module')
def inversion(tiny_model, tiny_latents):
    return invert(tiny_model, tiny_latents, SOURCE, steps=STEPS, inner_steps=2)


@pytest.fixture(scope='module')
def edited(tiny_model, inversion):
    return edit(tiny_model, inversion, SOURCE, TARGET, WORD)


def test_equal_prompts_give_the_sources_reconstruction(tiny_model, inversion):
    result = edit(tiny_model, inversion, SOURCE, SOURCE, 'crack', eq=1.0)
    torch.testing.assert_close(result.edited, result.reconstruction, atol=1e-5, rtol=1e-5)
    alone = reconstruct(tiny_model, inversion, SOURCE)
    torch.testing.assert_close(result.reconstruction, alone, atol=1e-3, rtol=1e-3)


def side_by_side(model, inversion, mask=None, cross=2, self_replace=1):
    """The published sampling: guided source and guided target in one batch, four rows an image."""
    images, schedule = len(inversion), ddim_schedule(model.scheduler, inversion.steps)
    tokenizer = model.tokenizers[0]
    mix = ColumnMix(
        align_tokens(tokenizer, SOURCE, TARGET), word_positions(tokenizer, TARGET, WORD), 2.0, model.device
    )
    control = AttentionControl(images, mix)
    source, target, null = (row.expand(images) for row in model.encode_prompt([SOURCE, TARGET, '']).split())
    latents = inversion.start.repeat(2, 1, 1, 1)
    with Sampler(model, schedule, guidance=15.0, rli_alpha=0.1, control=control) as sampler, torch.no_grad():
        for i, timestep in enumerate(schedule.timesteps):
            control.cross, control.self_attention = i < cross, i < self_replace
            without = PromptEmbeddings.cat([inversion.uncond(i, null)] * 2)
            prompts = PromptEmbeddings.cat([source, target])
            latents = schedule.denoise(i, latents, sampler.guided(latents, timestep, without, prompts))
            if mask is not None:
                latents[images:] = latents[:images].lerp(latents[images:], mask)
    return latents.chunk(2)


@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('method', ['null-text', 'negative-prompt', 'ddim'])
def test_the_recorded_source_gives_the_edit_of_source_and_target_side_by_side(
    tiny_model, tiny_latents, method, masked
):
    inversion = invert(tiny_model, tiny_latents, SOURCE, method=method, steps=STEPS, inner_steps=2)
    mask = torch.zeros(3, 1, 8, 8) if masked else None
    if masked:
        mask[..., 2:6, 1:5] = 1
    result = edit(tiny_model, inversion, SOURCE, TARGET, WORD, latent_mask=mask)
    reconstruction, edited = side_by_side(tiny_model, inversion, mask)
    # Values are up to 5; sums of another batch size round differently.
    torch.testing.assert_close(result.reconstruction, reconstruction, atol=3e-5, rtol=0)
    torch.testing.assert_close(result.edited, edited, atol=3e-5, rtol=0)


def test_rows_of_an_edit_are_three_an_image_then_two(tiny_model, inversion, monkeypatch):
    rows, plain = [], tiny_model.predict
    monkeypatch.setattr(
        tiny_model, 'predict', lambda latents, *rest: rows.append(len(latents)) or plain(latents, *rest)
    )
    edit(tiny_model, inversion, SOURCE, TARGET, WORD)
    assert rows == [9, 9, 6, 6, 6]  # three images, five steps, 0.4 of them with replacement


@pytest.mark.parametrize('change', [{'guidance': 5.0}, {'rli_alpha': 0.5}])
def test_other_settings_than_recorded_sample_the_source_again(tiny_model, inversion, change):
    result = edit(tiny_model, inversion, SOURCE, TARGET, WORD, **change)
    assert torch.equal(result.reconstruction, reconstruct(tiny_model, inversion, SOURCE, **change))
    assert not torch.allclose(result.reconstruction, inversion.reconstruction, atol=1e-2)


@pytest.mark.parametrize('blend', [None, BlendOptions()])
def test_words_in_one_batch_are_their_edits(tiny_model, inversion, blend):
    targets = [Target(f'{SOURCE} with {word}', word) for word in ('rust', 'peeling', 'dent')]
    mask = torch.zeros(3, 1, 8, 8)
    mask[0], mask[1, :, :4], mask[2, :, :, :4] = 1, 1, 1
    options = EditOptions(local_blend=blend)
    together = edit_words(tiny_model, inversion, SOURCE, targets, options, latent_mask=mask)
    assert not torch.allclose(together[0].edited, together[1].edited, atol=1e-2)
    for target, result in zip(targets, together):
        alone = edit(
            tiny_model, inversion, SOURCE, target.prompt, target.word, latent_mask=mask, local_blend=blend
        )
        torch.testing.assert_close(result.edited, alone.edited, atol=3e-5, rtol=0)
        assert torch.equal(result.reconstruction, alone.reconstruction)


def test_the_edit_changes_the_target_and_leaves_the_source_branch(tiny_model, inversion, edited):
    torch.testing.assert_close(
        edited.reconstruction, reconstruct(tiny_model, inversion, SOURCE), atol=1e-3, rtol=1e-3
    )
    assert (edited.edited - edited.reconstruction).abs().mean() > 0.05


def test_reweighting_alone_is_an_edit(tiny_model, inversion):
    result = edit(tiny_model, inversion, SOURCE, SOURCE, 'crack', eq=4.0)
    assert (result.edited - result.reconstruction).abs().mean() > 0.01


def test_more_replacement_keeps_more_of_the_source(tiny_model, inversion):
    changes = []
    for share in (0.0, 0.4, 1.0):
        result = edit(tiny_model, inversion, SOURCE, TARGET, WORD, cross=share, self_replace=share, eq=1.0)
        changes.append((result.edited - result.reconstruction).abs().mean().item())
    assert changes[0] > changes[1] > changes[2]


def test_replacement_ends_at_the_stated_step(tiny_model, inversion, monkeypatch):
    calls = {'cross': [], 'self': []}
    step = 0

    def spy(kind, function):
        def wrapper(*args, **kwargs):
            calls[kind].append(step)
            return function(*args, **kwargs)

        return wrapper

    for kind in calls:
        name = f'edited_{kind}_attention'
        monkeypatch.setattr(
            augment.diffusion.attention, name, spy(kind, getattr(augment.diffusion.attention, name))
        )

    def progress(done, total):
        nonlocal step
        step = done
        assert total == STEPS

    edit(tiny_model, inversion, SOURCE, TARGET, WORD, cross=0.4, self_replace=0.6, progress=progress)
    assert step == STEPS
    assert sorted(set(calls['cross'])) == [0, 1]  # 0.4 of 5 steps
    assert sorted(set(calls['self'])) == [0, 1, 2]
    layers = len(tiny_model.unet.attn_processors) // 2
    assert len(calls['cross']) == 2 * layers and len(calls['self']) == 3 * layers


@pytest.mark.parametrize(
    ('share', 'steps', 'expected'), [(0.4, 50, 20), (0.3, 50, 15), (0.29, 100, 29), (1, 7, 7), (0.5, 5, 2)]
)
def test_share_of_steps(share, steps, expected):
    assert share_of_steps(share, steps) == expected


def test_one_pass_after_the_other_is_the_same_edit(tiny_model, inversion, edited):
    slow = edit(tiny_model, inversion, SOURCE, TARGET, WORD, low_resource=True)
    torch.testing.assert_close(slow.edited, edited.edited, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(slow.reconstruction, edited.reconstruction, atol=1e-3, rtol=1e-3)


def test_a_batch_is_its_images(tiny_model, inversion, edited):
    for n, part in enumerate(inversion.split()):
        alone = edit(tiny_model, part, SOURCE, TARGET, WORD)
        torch.testing.assert_close(alone.edited[0], edited.edited[n], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_embeddings_in_the_models_dtype_give_the_same_edit(tiny_model, tiny_latents, dtype):
    m = tiny_model
    unet, encoders = copy.deepcopy(m.unet), copy.deepcopy(m.text_encoders)
    half = EditModel(unet, m.vae, m.scheduler, m.tokenizers, encoders, id='', dtype=dtype)
    full = invert(half, tiny_latents[:1], SOURCE, steps=2, inner_steps=1)
    compact = full.compact(dtype)
    assert full.uncond_tokens.dtype == torch.float32 and compact.uncond_tokens.dtype == dtype
    results = [edit(half, inversion, SOURCE, TARGET, WORD) for inversion in (full, compact)]
    assert torch.equal(results[0].edited, results[1].edited)
    assert torch.equal(results[0].reconstruction, results[1].reconstruction)


def test_latent_mask_keeps_the_source_outside(tiny_model, inversion):
    mask = torch.zeros(3, 1, 8, 8)
    mask[..., 2:5, 3:6] = 1
    result = edit(tiny_model, inversion, SOURCE, TARGET, WORD, latent_mask=mask)
    outside = (mask == 0).expand_as(result.edited)
    assert torch.equal(result.edited[outside], result.reconstruction[outside])
    assert (result.edited - result.reconstruction)[~outside].abs().mean() > 0.01
    with pytest.raises(ValueError, match=r'latent_mask has shape \(3, 1, 4, 4\); expected \(3, 1, 8, 8\)'):
        edit(tiny_model, inversion, SOURCE, TARGET, WORD, latent_mask=mask[..., :4, :4])


def test_local_blend_keeps_the_source_where_the_word_has_no_attention(tiny_model, tiny_latents, monkeypatch):
    inversion = invert(tiny_model, tiny_latents[..., :6], SOURCE, method='negative-prompt', steps=STEPS)
    seen = []

    def left_half(maps, size):
        seen.append((maps.size, maps.total.clone()))
        mask = torch.zeros(3, 1, *size)
        mask[..., :3] = 1
        return mask  # of the three targets

    monkeypatch.setattr(LocalBlend, 'mask', left_half)
    result = edit(tiny_model, inversion, SOURCE, TARGET, WORD, local_blend=BlendOptions())
    assert torch.equal(result.edited[..., 3:], result.reconstruction[..., 3:])
    assert not torch.equal(result.edited[..., :3], result.reconstruction[..., :3])
    # From a fifth of the steps on; the coarsest map of 8 x 6 cells is 2 x 2.
    assert [size for size, _ in seen] == [(2, 2)] * 4
    first, last = seen[0][1], seen[-1][1]
    assert (last > first).all()  # maps add up


def test_blend_mask_by_hand():
    # One image on a 4 x 4 map, blown up to 8 x 8. The target looks at the corner (0, 0) with weight 1 and at (3, 3)
    # with 0.29: dilated to 2 x 2 each, and only the first is above 0.3 of the maximum.
    maps = LocalBlend((4, 4), torch.zeros(1, 77))
    maps.total[0, 0, 0], maps.total[0, 3, 3] = 1.0, 0.29
    expected = torch.zeros(1, 1, 8, 8)
    expected[..., :4, :4] = 1
    assert torch.equal(maps.mask((8, 8)), expected)
    maps.options = BlendOptions(threshold=0.28)
    expected[..., 4:, 4:] = 1
    assert torch.equal(maps.mask((8, 8)), expected)
    other = LocalBlend((4, 4), torch.zeros(2, 77), maps.options)
    other.total[0], other.total[1, 3, 3] = maps.total[0], 5.0  # each target counts against its own maximum
    assert torch.equal(other.mask((8, 8))[:1], expected)


def test_bad_arguments(tiny_model, inversion):
    with pytest.raises(ValueError, match="'rust' is not in the prompt"):
        edit(tiny_model, inversion, SOURCE, TARGET, 'rust')
    with pytest.raises(ValueError, match=r'cross is 1\.4'):
        edit(tiny_model, inversion, SOURCE, TARGET, WORD, cross=1.4)
    with pytest.raises(ValueError, match=r'self_replace is -1'):
        edit(tiny_model, inversion, SOURCE, TARGET, WORD, self_replace=-1)


def test_overflow_names_the_image(tiny_model, tiny_latents):
    inversion = invert(tiny_model, tiny_latents, SOURCE, method='ddim', steps=2)
    inversion.start[2] = float('inf')
    with pytest.raises(NonFiniteError, match=r'guided sampling in image\(s\) \[2\]'):
        edit(tiny_model, inversion, SOURCE, TARGET, WORD)
