"""The demo model is a Stable Diffusion XL in small, loaded by the code that loads the large one."""

import pytest
import torch

from augment.demo_model.architecture import (
    WORDS,
    Architecture,
    build_parts,
    caption_ids,
    count_parameters,
    encode_captions,
    save_parts,
    target_prompt,
)
from augment.diffusion.loading import load_model
from augment.diffusion.prompts import word_positions

CAPTIONS = ['', target_prompt(None), *map(target_prompt, WORDS)]


@pytest.fixture(scope='module')
def parts(tiny):
    return build_parts(tiny, seed=1)


@pytest.fixture(scope='module')
def directory(parts, tmp_path_factory):
    path = tmp_path_factory.mktemp('demo')
    save_parts(parts, path)
    return path


@pytest.fixture(scope='module')
def model(directory):
    return load_model(str(directory), device='cpu', dtype='fp32')


def test_the_shipped_size_is_about_fifteen_million_parameters():
    parts = build_parts(Architecture())
    counts = count_parameters(parts)
    assert 14e6 < sum(counts.values()) < 16e6
    assert parts.unet.config.sample_size * Architecture().cell == 128


def test_files_of_the_shipped_size_are_small_enough_for_the_repository(tmp_path):
    save_parts(build_parts(Architecture()), tmp_path)
    sizes = [path.stat().st_size for path in tmp_path.rglob('*') if path.is_file()]
    assert max(sizes) <= 15e6
    assert sum(sizes) <= 32e6


def test_cross_attention_stands_in_down_mid_and_up_blocks(parts):
    names = {(name.split('_')[0], name.split('.')[-2]) for name in parts.unet.attn_processors}
    assert names == {(place, kind) for place in ('down', 'mid', 'up') for kind in ('attn1', 'attn2')}


def test_every_word_of_the_prompts_is_one_token(parts):
    for tokenizer in parts.tokenizers:
        for caption in CAPTIONS:
            assert len(tokenizer(caption).input_ids) == 2 + len(caption.split())
        for word in WORDS:
            assert word_positions(tokenizer, target_prompt(word), word) == [6]


def test_the_loaded_model_encodes_prompts_as_the_training_does(parts, model):
    tokens, pooled = encode_captions(parts, caption_ids(parts, CAPTIONS, 'cpu'))
    loaded = model.encode_prompt(CAPTIONS)
    # The saved weights are float16.
    torch.testing.assert_close(loaded.tokens, tokens, atol=2e-2, rtol=0)
    torch.testing.assert_close(loaded.pooled, pooled, atol=2e-2, rtol=0)
    assert not torch.allclose(pooled[2], pooled[3], atol=2e-2)


def test_the_loaded_model_predicts_at_its_native_size(model, tiny):
    assert model.vae_scale == tiny.cell == 4
    latents = model.encode_images(torch.zeros(2, 3, tiny.size, tiny.size))
    prompt = model.encode_prompt(['photo of a crack', ''])
    prediction = model.predict(latents, torch.tensor([500]), prompt.tokens, prompt.pooled)
    assert prediction.shape == latents.shape == (2, 4, 16, 16)
    assert prediction.isfinite().all()
    assert model.decode_latents(latents).shape == (2, 3, 64, 64)


def test_saving_leaves_the_weights_as_they_are(tiny, tmp_path):
    parts = build_parts(tiny, seed=2)
    before = {name: p.clone() for name, p in parts.unet.named_parameters()}
    save_parts(parts, tmp_path)
    assert all(torch.equal(before[name], p) for name, p in parts.unet.named_parameters())
    assert parts.vae.dtype == torch.float32


def test_the_same_seed_gives_the_same_weights(tiny):
    state = torch.get_rng_state()
    first, second, other = (build_parts(tiny, seed) for seed in (5, 5, 6))
    assert torch.equal(state, torch.get_rng_state())
    for name, module in first.modules().items():
        pairs = zip(module.parameters(), second.modules()[name].parameters())
        assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.unet.conv_in.weight, other.unet.conv_in.weight)
