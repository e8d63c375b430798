"""The four inversions behind one function, and their result as files and batches."""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file, save_file

from augment.config import INVERSION_METHODS
from augment.diffusion.editing import edit, reconstruct
from augment.diffusion.inversion import invert
from augment.diffusion.inverted import Inversion
from augment.diffusion.model import NonFiniteError
from augment.diffusion.sampling import Sampler, ddim_schedule

PROMPT = 'photo of a crack'
STEPS = 4


@pytest.fixture(scope='module')
def inversions(tiny_model, tiny_latents):
    return {
        method: invert(tiny_model, tiny_latents, PROMPT, method=method, steps=STEPS, inner_steps=2)
        for method in INVERSION_METHODS
    }


def error(model, inversion, **options):
    difference = reconstruct(model, inversion, PROMPT, **options) - inversion.latent
    return difference.square().mean().item()


def test_all_methods_share_the_start_and_differ_in_what_they_store(inversions):
    stored = {
        name: set(inversion.tensors()) - {'latent', 'trajectory', 'prompt', 'settings'}
        for name, inversion in inversions.items()
    }
    assert stored == {
        'null-text': {'uncond_tokens', 'uncond_pooled'},
        'negative-prompt': {'uncond_tokens', 'uncond_pooled'},
        'direct': set(),
        'ddim': set(),
    }
    for inversion in inversions.values():
        assert torch.equal(inversion.start, inversions['ddim'].start)


def test_every_method_reconstructs_better_than_plain_ddim(tiny_model, inversions):
    errors = {name: error(tiny_model, inversions[name]) for name in ('ddim', 'negative-prompt', 'null-text')}
    assert errors['negative-prompt'] < 0.1 * errors['ddim']
    assert errors['null-text'] < errors['ddim']


def test_ddim_inversion_needs_no_help_without_guidance(tiny_model, inversions):
    assert error(tiny_model, inversions['ddim'], guidance=1.0) < 0.01 * error(tiny_model, inversions['ddim'])


@pytest.mark.parametrize('method', ['null-text', 'negative-prompt', 'ddim'])
def test_the_recorded_branch_is_what_sampling_gives(tiny_model, inversions, method):
    inversion = inversions[method]
    assert inversion.trajectory.shape == (STEPS + 1, 3, 4, 8, 8)
    torch.testing.assert_close(
        inversion.reconstruction, reconstruct(tiny_model, inversion, PROMPT), atol=3e-5, rtol=0
    )


def test_direct_inversion_adds_what_a_guided_step_misses(tiny_model, inversions):
    """Ju et al. 2024, algorithm 1: the source branch is the trajectory of DDIM inversion, whatever the guidance."""
    inversion = inversions['direct']
    schedule = ddim_schedule(tiny_model.scheduler, STEPS)
    source, null = (row.expand(3) for row in tiny_model.encode_prompt([PROMPT, '']).split())
    latents = inversion.start
    with Sampler(tiny_model, schedule, guidance=15.0, rli_alpha=0.1) as sampler, torch.no_grad():
        for i, timestep in enumerate(schedule.timesteps):
            step = schedule.denoise(i, latents, sampler.guided(latents, timestep, null, source))
            residual = inversion.trajectory[i + 1] - step
            assert residual.abs().max() > 1e-3  # what was missing
            latents = step + residual
    edited = edit(tiny_model, inversion, PROMPT, f'{PROMPT} with rust', 'rust', guidance=7.0)
    torch.testing.assert_close(latents, inversion.latent, atol=1e-5, rtol=0)
    assert torch.equal(edited.reconstruction, inversion.latent)


def test_two_passes_one_after_the_other_are_the_same_branch(tiny_model, tiny_latents, inversions):
    again = invert(tiny_model, tiny_latents, PROMPT, method='ddim', steps=STEPS, low_resource=True)
    torch.testing.assert_close(again.trajectory, inversions['ddim'].trajectory, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize('method', INVERSION_METHODS)
def test_files_and_batches_keep_everything(inversions, method, tmp_path):
    parts = inversions[method].split()
    assert [len(part) for part in parts] == [1, 1, 1]
    for n, part in enumerate(parts):
        save_file(part.tensors(), tmp_path / f'{n}.safetensors')
    loaded = [
        Inversion.from_tensors(load_file(tmp_path / f'{n}.safetensors'), part.stats)
        for n, part in enumerate(parts)
    ]
    joined = Inversion.cat(loaded)
    for field in dataclasses.fields(Inversion):
        one, other = (getattr(inversion, field.name) for inversion in (joined, inversions[method]))
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_inversions_of_different_kinds_make_no_batch(inversions):
    other = dataclasses.replace(inversions['ddim'], settings=inversions['direct'].settings)
    for kind in (inversions['negative-prompt'], other):
        with pytest.raises(ValueError, match='different methods, settings or steps'):
            Inversion.cat([inversions['ddim'], kind])


def test_statistics_per_image(inversions):
    stats = inversions['null-text'].stats
    assert stats['inner_steps'] == [STEPS * 2] * 3
    assert [len(losses) for losses in stats['final_losses']] == [STEPS] * 3
    assert inversions['ddim'].stats['inner_steps'] == [0, 0, 0]


def test_not_square_with_odd_map_sizes(tiny_model, tiny_latents):
    wide = torch.cat([tiny_latents, tiny_latents], dim=3)[:1, :, :6, :11]
    inversion = invert(tiny_model, wide, PROMPT, method='negative-prompt', steps=2)
    assert inversion.reconstruction.shape == wide.shape
    assert error(tiny_model, inversion) < 0.1 * wide.square().mean()


def test_size_condition_is_the_models_own_size_or_the_true_one(tiny_model, tiny_latents, monkeypatch):
    wide = torch.cat([tiny_latents, tiny_latents], dim=3)[:1, :, :6, :11]
    assert tiny_model.time_ids(wide).tolist() == [[64, 64, 0, 0, 64, 64]]  # 8 cells of 8 pixels
    native = invert(tiny_model, wide, PROMPT, method='ddim', steps=2)
    monkeypatch.setattr(tiny_model, 'size_condition', 'true')
    assert tiny_model.time_ids(wide).tolist() == [[48, 88, 0, 0, 48, 88]]
    assert not torch.equal(invert(tiny_model, wide, PROMPT, method='ddim', steps=2).start, native.start)


def test_progress_counts_every_ddim_step(tiny_model, tiny_latents):
    for method, total in (('direct', 2), ('ddim', 4), ('null-text', 4)):
        seen = []
        invert(
            tiny_model,
            tiny_latents[:1],
            PROMPT,
            method=method,
            steps=2,
            inner_steps=1,
            progress=lambda done, of, seen=seen: seen.append((done, of)),
        )
        assert seen == [(i + 1, total) for i in range(total)]


def test_bad_arguments(tiny_model, tiny_latents):
    with pytest.raises(ValueError, match=r"'magic'.*null-text, negative-prompt, direct, ddim"):
        invert(tiny_model, tiny_latents, PROMPT, method='magic')
    with pytest.raises(ValueError, match='inner_steps is -1'):
        invert(tiny_model, tiny_latents, PROMPT, inner_steps=-1)
    with pytest.warns(UserWarning, match='has no effect'):
        invert(tiny_model, tiny_latents[:1], PROMPT, steps=1, inner_steps=0)


def test_non_finite_latents_name_stage_and_image(tiny_model, tiny_latents):
    broken = tiny_latents.clone()
    broken[1, 0, 0, 0] = float('nan')
    with pytest.raises(NonFiniteError, match=r'reading the latents in image\(s\) \[1\]') as caught:
        invert(tiny_model, broken, PROMPT, method='ddim', steps=1)
    assert caught.value.images == [1]


def test_overflow_during_inversion_is_named_and_leaves_the_processors(tiny_model, tiny_latents, monkeypatch):
    before = tiny_model.unet.attn_processors
    plain = tiny_model.predict
    monkeypatch.setattr(tiny_model, 'predict', lambda *args: plain(*args) * float('inf'))
    with pytest.raises(NonFiniteError, match='DDIM inversion'):
        invert(tiny_model, tiny_latents, PROMPT, method='ddim', steps=1)
    assert tiny_model.unet.attn_processors == before
