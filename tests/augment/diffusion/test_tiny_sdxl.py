"""Properties of the tiny model that the other tests rely on."""

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from tiny_sdxl import WORDS, build_tiny_sdxl


@pytest.fixture(scope='module')
def pipeline(tiny_sdxl_dir):
    return StableDiffusionXLPipeline.from_pretrained(tiny_sdxl_dir, local_files_only=True)


def test_the_directory_loads_and_generates(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    result = pipeline('photo of a crack', num_inference_steps=2, height=64, width=96, output_type='pt')
    assert result.images.shape == (1, 3, 64, 96)
    assert result.images.isfinite().all()


def test_both_attention_kinds_are_in_every_kind_of_block(pipeline):
    names = {(name.split('_')[0], name.split('.')[-2]) for name in pipeline.unet.attn_processors}
    assert names == {(place, kind) for place in ('down', 'mid', 'up') for kind in ('attn1', 'attn2')}


def test_the_same_seed_gives_the_same_weights(tiny_sdxl_dir, tmp_path):
    state = torch.get_rng_state()
    again = build_tiny_sdxl(tmp_path / 'again')
    assert torch.equal(state, torch.get_rng_state())
    for part in ('unet', 'vae', 'text_encoder', 'text_encoder_2'):
        first, second = (sorted((path / part).glob('*.safetensors')) for path in (tiny_sdxl_dir, again))
        assert first and [f.read_bytes() for f in first] == [f.read_bytes() for f in second]


def test_words_are_one_token_and_blistering_two(pipeline):
    assert all(len(pipeline.tokenizer(word).input_ids) == 3 for word in WORDS.split())
    ids = pipeline.tokenizer('a crack with blistering').input_ids
    tokens = pipeline.tokenizer.convert_ids_to_tokens(ids)
    assert tokens == [
        '<|startoftext|>',
        'a</w>',
        'crack</w>',
        'with</w>',
        'blister',
        'ing</w>',
        '<|endoftext|>',
    ]
