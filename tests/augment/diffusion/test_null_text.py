"""Null-text optimisation: masked Adam, the stop of each image, and the gain on the tiny model."""

import copy

import pytest
import torch
from tiny_sdxl import psnr

from augment.diffusion import null_text
from augment.diffusion.editing import reconstruct
from augment.diffusion.inner_step import AdamState, InnerStep, RowInputs, adam_corrections
from augment.diffusion.inversion import invert
from augment.diffusion.model import EditModel
from augment.diffusion.null_text import learning_rate, stop_loss
from augment.diffusion.sampling import Sampler, ddim_schedule, guide

PROMPT = 'photo of a crack'


def test_published_rates_and_stops():
    assert [learning_rate(i) for i in (0, 49)] == pytest.approx([0.01, 0.0051])
    assert learning_rate(120) == 0  # beyond LEARNING_RATE_STEPS the rate is never negative
    assert [stop_loss(i) for i in (0, 49)] == pytest.approx([1e-5, 5e-4])


def test_masked_adam_is_torch_adam_on_active_rows_and_nothing_on_others():
    """Row 0 takes five steps; row 1 none; row 2 begins anew, with another rate, after two."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 5, 4, generator=generator)
    state, rates = AdamState(start.clone()), torch.tensor([0.02, 0.02, 0.01])
    references = [row.clone().requires_grad_() for row in start]
    optimisers = [torch.optim.Adam([row], lr=rate) for row, rate in zip(references, rates.tolist())]
    active, taken = torch.tensor([True, False, True]), torch.zeros(3, dtype=torch.int64)
    for t in range(5):
        if t == 2:
            state.begin(torch.tensor([2]), start[2:])
            taken[2], references[2] = 0, start[2].clone().requires_grad_()
            optimisers[2] = torch.optim.Adam([references[2]], lr=0.01)
        gradient = torch.randn(3, 5, 4, generator=generator)
        taken += 1
        for row in (0, 2):
            references[row].grad = gradient[row]
            optimisers[row].step()
        state.step(gradient, active, rates, adam_corrections(taken))
    for row in (0, 2):
        torch.testing.assert_close(state.value[row], references[row].detach())
    assert torch.equal(state.value[1], start[1])
    assert not state.first[1].any() and not state.second[1].any()


@pytest.fixture(scope='module')
def prompts(tiny_model):
    return tiny_model.encode_prompt([PROMPT, '']).split()


def test_a_stopped_image_is_not_updated_any_more(tiny_model, tiny_latents, prompts):
    source, null = prompts
    schedule = ddim_schedule(tiny_model.scheduler, 10)
    timestep = schedule.timesteps[0]
    with Sampler(tiny_model, schedule, guidance=15.0, rli_alpha=0.0) as sampler:
        inner = InnerStep(tiny_model, tiny_latents, null, sampler.attention)
        inner.guidance.fill_(15.0)
        conditional = sampler.predict(tiny_latents, timestep, source.expand(3))
        without = sampler.predict(tiny_latents, timestep, null.expand(3))
        target = schedule.denoise(0, tiny_latents, guide(without, conditional, 15.0))
        target[[0, 2]] += 0.5  # image 1 is already where it should be, so it stops after its first step
        factors = schedule.keep[0], schedule.add[0], learning_rate(0), stop_loss(0)
        keep, add, rate, stop = (torch.full((3,), value) for value in factors)
        times = torch.full((3,), timestep)
        inner.begin(
            torch.arange(3),
            RowInputs(tiny_latents, target, conditional, null.expand(3), times, keep, add, rate, stop),
        )
        seen = []
        for _ in range(3):
            inner()
            parts = (inner.tokens, inner.pooled)
            seen.append([t.clone() for part in parts for t in part.tensors()])
            assert inner.active.tolist() == [True, False, True]
            assert inner.report() == ([True, False, True], inner.stepped.tolist(), inner.loss.tolist())
    for first, second, third in zip(*seen):
        assert torch.equal(first[1], second[1]) and torch.equal(second[1], third[1])
        assert not torch.equal(first[0], second[0]) and not torch.equal(second[2], third[2])
    assert inner.loss[1] < stop_loss(0) < inner.loss[0]


@pytest.mark.parametrize('overflow', ['gradient', 'prediction'])
def test_overflow_costs_its_image_one_inner_step(tiny_model, tiny_latents, monkeypatch, overflow):
    """Image 1 overflows in the second inner step of the first DDIM step; the others never notice."""
    options = {'steps': 2, 'inner_steps': 4}
    undisturbed = invert(tiny_model, tiny_latents, PROMPT, **options)
    plain, inner_calls = tiny_model.predict, []

    def predict(latents, timestep, tokens, pooled):
        prediction = plain(latents, timestep, tokens, pooled)
        if torch.is_grad_enabled():
            inner_calls.append(1)
            if len(inner_calls) == 2:
                factor = torch.ones(3, 1, 1, 1)
                factor[1] = float('inf')
                if overflow == 'prediction':
                    return prediction * factor
                prediction.register_hook(lambda gradient: gradient * factor)
        return prediction

    monkeypatch.setattr(tiny_model, 'predict', predict)
    result = invert(tiny_model, tiny_latents, PROMPT, **options)
    assert undisturbed.stats['inner_steps'] == [8, 8, 8] and result.stats['inner_steps'] == [8, 7, 8]
    assert result.uncond_tokens.isfinite().all() and result.uncond_pooled.isfinite().all()
    for n in (0, 2):
        assert torch.equal(result.uncond_tokens[:, n], undisturbed.uncond_tokens[:, n])
    # The next step starts from the embeddings of the first one, so it sees the loss that the lost one would have.
    losses, expected = (each.stats['inner_losses'][1][0] for each in (result, undisturbed))
    assert losses[:2] == pytest.approx(expected[:2], rel=1e-4) and len(losses) == 3


@pytest.fixture(scope='module')
def inverted(tiny_model, tiny_latents):
    return invert(tiny_model, tiny_latents, PROMPT, steps=10, inner_steps=10)


def test_reconstructs_ten_decibels_better_than_ddim_inversion(tiny_model, tiny_latents, inverted):
    plain = invert(tiny_model, tiny_latents, PROMPT, method='ddim', steps=10)
    optimised, plain_psnr = (
        psnr(tiny_model, reconstruct(tiny_model, inversion, PROMPT), tiny_latents)
        for inversion in (inverted, plain)
    )
    assert (optimised > plain_psnr + 10).all(), (optimised, plain_psnr)
    assert plain_psnr.max() < 25  # guidance 15 does break DDIM inversion here


def test_mean_inner_loss_falls_from_step_to_step(inverted):
    losses = torch.tensor(inverted.stats['inner_losses'])  # images, DDIM steps, inner steps
    assert losses.shape == (3, 10, 10)
    mean = losses.mean(dim=(0, 1))
    assert (mean[1:] < mean[:-1]).all(), mean
    first_step = losses[:, 0].mean(dim=0)
    assert first_step[-1] < 0.5 * first_step[0]


def test_embeddings_move_from_step_to_step_and_start_at_the_empty_prompt(inverted, prompts):
    assert inverted.uncond_tokens.shape == (10, 3, 77, 64)
    assert inverted.uncond_pooled.shape == (10, 3, 32)
    moves = (inverted.uncond_tokens[1:] - inverted.uncond_tokens[:-1]).abs().amax(dim=(1, 2, 3))
    assert (moves > 0).all()
    # Ten Adam steps of at most the learning rate each, up to its bias correction.
    assert (inverted.uncond_tokens[0] - prompts[1].tokens).abs().max() <= 10 * learning_rate(0) * 1.5


@pytest.mark.parametrize('rows', [1, 2, None])
def test_batched_and_one_by_one_agree(tiny_model, tiny_latents, monkeypatch, rows):
    """With two rows, the third image takes the place of the one that is finished first."""
    # Between the losses of the three images at the first DDIM step, so that their stops differ.
    monkeypatch.setattr(null_text, 'STOP_LOSS', 3.1e-4)
    options = {'steps': 3, 'inner_steps': 6, 'guidance': 3.0}
    batched = invert(tiny_model, tiny_latents, PROMPT, rows=rows, **options)
    single = [invert(tiny_model, latent[None], PROMPT, **options) for latent in tiny_latents]
    assert batched.stats['inner_steps'] == [one.stats['inner_steps'][0] for one in single]
    assert len(set(batched.stats['inner_steps'])) > 1 and min(batched.stats['inner_steps']) < 18
    for n, (part, one) in enumerate(zip(batched.split(), single)):
        torch.testing.assert_close(part.start, one.start, atol=1e-5, rtol=1e-5)
        assert part.stats['final_losses'][0] == pytest.approx(one.stats['final_losses'][0], rel=2e-2)
        together, alone = (reconstruct(tiny_model, each, PROMPT, guidance=3.0) for each in (part, one))
        psnrs = [psnr(tiny_model, latent, tiny_latents[n : n + 1]).item() for latent in (together, alone)]
        assert abs(psnrs[0] - psnrs[1]) < 0.1, psnrs


def lockstep(model, latents, inner_steps, steps, guidance):
    """Null-text inversion as published, one image: tokens of every step and the latents reached."""
    schedule, parts = ddim_schedule(model.scheduler, steps), model.encode_prompt([PROMPT, '']).split()
    source, null = parts
    pivots = invert(model, latents, PROMPT, method='direct', steps=steps).trajectory
    z, tokens, pooled, found = pivots[0], null.tokens, null.pooled, []
    with Sampler(model, schedule, guidance=guidance, rli_alpha=0.1) as sampler:
        for i, timestep in enumerate(schedule.timesteps):
            tokens, pooled = (t.detach().clone().requires_grad_() for t in (tokens, pooled))
            adam, time = torch.optim.Adam([tokens, pooled], lr=learning_rate(i)), torch.tensor([timestep])
            conditional = sampler.predict(z, timestep, source)
            for _ in range(inner_steps):
                without = model.predict(z, time, tokens, pooled)
                loss = (
                    (schedule.denoise(i, z, guide(without, conditional, guidance)) - pivots[i + 1])
                    .square()
                    .mean()
                )
                adam.zero_grad()
                loss.backward()
                adam.step()
                if loss.item() < stop_loss(i):
                    break
            with torch.no_grad():
                without = model.predict(z, time, tokens, pooled)
                z = schedule.denoise(i, z, guide(without, conditional, guidance))
            found.append(tokens.detach())
    return torch.stack(found), z


def test_rows_at_different_steps_give_what_the_published_loop_gives(tiny_model, tiny_latents, monkeypatch):
    """Five images in three rows: each stops by itself, and its embeddings are those of the loop for it alone."""
    monkeypatch.setattr(null_text, 'STOP_LOSS', 3.1e-4)
    latents = torch.cat([tiny_latents, tiny_latents.flip(3)[:2]])
    limits = {'inner_steps': 4, 'steps': 3, 'guidance': 3.0}
    calls, plain = [], InnerStep.__call__
    monkeypatch.setattr(InnerStep, '__call__', lambda self: calls.append(len(self)) or plain(self))
    result = invert(tiny_model, latents, PROMPT, rows=3, **limits)
    taken = result.stats['inner_steps']
    assert len(set(taken)) > 1 and max(taken) == 12
    # No row waits: without a GPU, where any size can be run, each row of each call is a step of an image.
    assert sum(calls) == sum(taken) and calls[0] == 3
    for n, latent in enumerate(latents):
        tokens, reached = lockstep(tiny_model, latent[None], **limits)
        # Adam divides by the size of the gradient, so that rounding of small ones grows.
        assert (result.uncond_tokens[:, n] - tokens[:, 0]).abs().mean() < 1e-4
        torch.testing.assert_close(result.reconstruction[n], reached[0], atol=2e-3, rtol=0)


def test_sizes_that_have_graphs_give_the_same(tiny_model, tiny_latents, monkeypatch):
    """Rows are filled up to powers of two, as with CUDA graphs."""
    monkeypatch.setattr(null_text, 'STOP_LOSS', 3.1e-4)
    options = {'steps': 3, 'inner_steps': 4, 'guidance': 3.0}
    latents = torch.cat([tiny_latents, tiny_latents.flip(3)])
    exact = invert(tiny_model, latents, PROMPT, rows=5, **options)
    sizes, plain = set(), InnerStep.__call__
    monkeypatch.setattr(InnerStep, '__call__', lambda self: sizes.add(len(self)) or plain(self))
    monkeypatch.setattr(
        tiny_model, 'fitting_rows', lambda rows, most: min(1 << (rows - 1).bit_length(), most)
    )
    filled = invert(tiny_model, latents, PROMPT, rows=5, **options)
    assert sizes <= {1, 2, 4, 5} and len(sizes) > 1
    assert filled.stats['inner_steps'] == exact.stats['inner_steps']
    torch.testing.assert_close(filled.trajectory, exact.trajectory, atol=2e-3, rtol=0)


@pytest.mark.parametrize(('dtype', 'loss_db'), [(torch.float16, 0.5), (torch.bfloat16, 1.5)])
def test_half_precision_keeps_the_gain(tiny_model, tiny_latents, inverted, dtype, loss_db):
    """The gain is 14 dB over plain DDIM inversion; single images change by 0.5 dB with any rounding of gradients."""
    half = EditModel(
        copy.deepcopy(tiny_model.unet),
        tiny_model.vae,
        tiny_model.scheduler,
        tiny_model.tokenizers,
        copy.deepcopy(tiny_model.text_encoders),
        id='tiny',
        dtype=dtype,
    )
    inversion = invert(half, tiny_latents, PROMPT, steps=10)
    assert inversion.uncond_tokens.dtype == inversion.start.dtype == torch.float32
    full, reduced = (
        psnr(tiny_model, reconstruct(model, inversion, PROMPT), tiny_latents).mean()
        for model, inversion in ((tiny_model, inverted), (half, inversion))
    )
    assert reduced > full - loss_db, (full, reduced)
