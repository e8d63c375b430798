"""Captured graphs compute the same as eager passes; needs a GPU."""

import pytest
import torch

from augment.diffusion import null_text
from augment.diffusion.editing import EditOptions, Target, edit, edit_words
from augment.diffusion.inversion import invert
from augment.diffusion.loading import load_model
from augment.diffusion.local_blend import BlendOptions

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='CUDA graphs need a GPU'),
]

SOURCE, TARGET, WORD = 'photo of a crack', 'photo of a crack with peeling', 'peeling'


@pytest.fixture(scope='module')
def models(tiny_sdxl_dir):
    graphs, eager = (load_model(str(tiny_sdxl_dir), device='cuda', dtype='fp32') for _ in range(2))
    eager.use_graphs = False
    return graphs, eager


@pytest.mark.parametrize('method', ['null-text', 'direct'])
def test_graphs_equal_eager(models, tiny_latents, method):
    options = {'method': method, 'steps': 5, 'inner_steps': 4}
    for latents in (
        tiny_latents,
        tiny_latents.flip(0),
    ):  # the second time every graph is replayed with new inputs
        inversions = [invert(model, latents, SOURCE, **options) for model in models]
        graphs, eager = (
            edit(model, inversion, SOURCE, TARGET, WORD, local_blend=BlendOptions())
            for model, inversion in zip(models, inversions)
        )
        torch.testing.assert_close(inversions[0].start, inversions[1].start, atol=1e-3, rtol=1e-3)
        assert inversions[0].stats['inner_steps'] == inversions[1].stats['inner_steps']
        torch.testing.assert_close(graphs.reconstruction, eager.reconstruction, atol=2e-2, rtol=1e-2)
        torch.testing.assert_close(graphs.edited, eager.edited, atol=5e-2, rtol=2e-2)
    assert models[0]._kept and not torch.allclose(graphs.edited, graphs.reconstruction, atol=5e-2)


def test_graphs_survive_another_size_and_other_prompts(models, tiny_latents):
    wide = torch.cat([tiny_latents, tiny_latents], dim=3)[:2, :, :6]
    for latents, target, word in ((wide, TARGET, WORD), (tiny_latents, 'photo of a rust crack', 'rust')):
        inversions = [invert(model, latents, SOURCE, steps=3, inner_steps=2) for model in models]
        graphs, eager = (edit(m, i, SOURCE, target, word).edited for m, i in zip(models, inversions))
        torch.testing.assert_close(graphs, eager, atol=5e-2, rtol=2e-2)


def test_each_rli_alpha_has_graphs_of_its_own(models, tiny_latents):
    for alpha in (0.1, 0.6, 0.1):
        options = {'steps': 2, 'inner_steps': 2, 'rli_alpha': alpha}
        graphs, eager = (invert(model, tiny_latents, SOURCE, **options) for model in models)
        torch.testing.assert_close(graphs.start, eager.start, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize('dtype', ['fp16', 'bf16'])
def test_half_precision_with_graphs_is_finite_and_close(tiny_sdxl_dir, models, tiny_latents, dtype):
    half = load_model(str(tiny_sdxl_dir), device='cuda', dtype=dtype)
    assert half.vae.dtype == torch.float32
    fast, slow = (invert(model, tiny_latents, SOURCE, steps=5) for model in (half, models[1]))
    assert fast.uncond_tokens.dtype == torch.float32
    for got, expected in zip(fast.stats['final_losses'], slow.stats['final_losses']):
        assert sum(got) < 1.5 * sum(expected)


def test_rows_that_go_on_by_themselves_with_graphs(models, tiny_latents, monkeypatch):
    """Seven images in five rows: passes of one to five rows, and a smaller inner step when fewer images are left."""
    monkeypatch.setattr(null_text, 'STOP_LOSS', 3.1e-4)
    latents = torch.cat([tiny_latents, tiny_latents.flip(3), tiny_latents.flip(2)[:1]])
    options = {'steps': 3, 'inner_steps': 6, 'guidance': 3.0, 'rows': 5}
    graphs, eager = (invert(model, latents, SOURCE, **options) for model in models)
    assert len(set(eager.stats['inner_steps'])) > 1
    assert graphs.stats['inner_steps'] == eager.stats['inner_steps']
    torch.testing.assert_close(graphs.trajectory, eager.trajectory, atol=2e-2, rtol=1e-2)
    assert len([key for key in models[0]._kept if key[0] == 'inner step' and key[2].rli_alpha == 0.1]) > 1


def test_words_in_one_batch_with_graphs(models, tiny_latents):
    inversion = invert(models[0], tiny_latents, SOURCE, steps=5, inner_steps=2)
    targets = [Target(f'{SOURCE} with {word}', word) for word in ('rust', 'peeling')]
    options = EditOptions(local_blend=BlendOptions())
    for chosen in (targets, targets[::-1]):  # the second time graphs are replayed with other words
        graphs, eager = (edit_words(model, inversion, SOURCE, chosen, options) for model in models)
        for got, expected in zip(graphs, eager):
            torch.testing.assert_close(got.edited, expected.edited, atol=5e-2, rtol=2e-2)
