"""The loaded model: encoding, decoding, prediction."""

import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from augment.diffusion.loading import load_model
from augment.diffusion.model import NonFiniteError


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('the network was used')

    monkeypatch.setattr('socket.socket.connect', refuse)
    monkeypatch.setattr('socket.getaddrinfo', refuse)


@pytest.fixture(scope='module')
def pipeline(tiny_sdxl_dir):
    return StableDiffusionXLPipeline.from_pretrained(tiny_sdxl_dir, local_files_only=True)


def test_a_directory_loads_without_network(tiny_sdxl_dir, no_network):
    model = load_model(str(tiny_sdxl_dir), device='cpu', dtype='bf16')
    assert model.unet.dtype == model.text_encoders[0].dtype == torch.bfloat16
    assert model.vae.dtype == torch.float32
    assert model.vae_scale == 8
    assert not any(p.requires_grad for module in (model.unet, model.vae) for p in module.parameters())


def test_prompts_are_encoded_as_the_pipeline_does(tiny_model, pipeline):
    prompts = ['photo of a crack', 'a blistering']
    embeddings = tiny_model.encode_prompt(prompts)
    tokens, _, pooled, _ = pipeline.encode_prompt(prompts, do_classifier_free_guidance=False)
    torch.testing.assert_close(embeddings.tokens, tokens)
    torch.testing.assert_close(embeddings.pooled, pooled)
    assert embeddings.tokens.shape == (2, 77, 64) and embeddings.pooled.shape == (2, 32)


def test_text_encoders_are_on_the_device_only_while_they_encode(tiny_model, monkeypatch):
    places = []

    class Watched:
        def __init__(self, encoder):
            self.encoder = encoder

        def to(self, device):
            places.append(str(device))
            return self

        def __call__(self, *args, **options):
            places.append('encode')
            return self.encoder(*args, **options)

    monkeypatch.setattr(tiny_model, 'text_encoders', tuple(map(Watched, tiny_model.text_encoders)))
    monkeypatch.setattr(tiny_model, '_prompts', {})
    first = tiny_model.encode_prompt(['rust'])
    assert places == ['cpu', 'encode', 'cpu'] * 2
    assert tiny_model.encode_prompt(['rust']) is first and len(places) == 6  # encoded once


def test_images_go_through_the_autoencoder_as_in_the_pipeline(tiny_model, pipeline):
    images = torch.rand(2, 3, 64, 80, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = tiny_model.encode_images(images)
    with torch.no_grad():
        expected = pipeline.vae.encode(images).latent_dist.mode() * pipeline.vae.config.scaling_factor
        decoded = pipeline.vae.decode(expected / pipeline.vae.config.scaling_factor).sample.clamp(-1, 1)
    assert latents.shape == (2, 4, 8, 10) and latents.dtype == torch.float32
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tiny_model.decode_latents(latents), decoded, atol=1e-4, rtol=1e-4)


def test_prediction_is_the_unets(tiny_model, pipeline, tiny_latents):
    prompt = tiny_model.encode_prompt(['photo of a crack'])
    ids = pipeline._get_add_time_ids((64, 64), (0, 0), (64, 64), torch.float32, 32).expand(3, -1)
    conditions = {'text_embeds': prompt.pooled.expand(3, -1), 'time_ids': ids}
    with torch.no_grad():
        tokens = prompt.tokens.expand(3, -1, -1)
        expected = pipeline.unet(
            tiny_latents, 321, encoder_hidden_states=tokens, added_cond_kwargs=conditions
        ).sample
        prediction = tiny_model.predict(tiny_latents, torch.tensor([321]), tokens, conditions['text_embeds'])
    torch.testing.assert_close(prediction, expected, atol=1e-5, rtol=1e-5)


def test_sizes_off_the_latent_grid_are_refused(tiny_model):
    with pytest.raises(ValueError, match='64x60 is no multiple of 8'):
        tiny_model.encode_images(torch.zeros(1, 3, 64, 60))


def test_non_finite_images_and_latents_are_named(tiny_model):
    images = torch.zeros(2, 3, 64, 64)
    images[1] = float('nan')
    with pytest.raises(NonFiniteError, match=r'encoding the images in image\(s\) \[1\]'):
        tiny_model.encode_images(images)
    with pytest.raises(NonFiniteError, match='decoding the latents'):
        tiny_model.decode_latents(torch.full((1, 4, 8, 8), float('inf')))
