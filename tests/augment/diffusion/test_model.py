"""Loading, encoding and decoding."""

import shutil

import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from augment.diffusion import loading
from augment.diffusion.loading import content_hash, load_model
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


@pytest.mark.parametrize(
    'name', ['./nowhere', '/no/where', 'file.safetensors', 'nowhere', 'a/b/c', 'dir/x.ckpt']
)
def test_a_missing_path_says_how_to_get_the_model(name, no_network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r'no such file or directory.*hf download stabilityai'):
        load_model(name, device='cpu')


def test_a_hub_model_that_cannot_be_loaded_is_the_same_error(monkeypatch):
    asked = []

    def unreachable(name, **options):
        asked.append(options.get('local_files_only', False))
        raise OSError('We could not connect to the hub\nsecond line')

    monkeypatch.setattr(StableDiffusionXLPipeline, 'from_pretrained', unreachable)
    with pytest.raises(
        FileNotFoundError, match=r"'owner/name-1\.0'.*could not connect to the hub\. .*hf download"
    ):
        load_model('owner/name-1.0', device='cpu')
    assert asked == [True, False]  # the cache first


def test_directory_without_a_pipeline_and_broken_weights(tiny_sdxl_dir, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'model_index\.json'):
        load_model(str(tmp_path), device='cpu')
    broken = tmp_path / 'broken'
    shutil.copytree(tiny_sdxl_dir, broken)
    next((broken / 'unet').glob('*.safetensors')).unlink()
    with pytest.raises(FileNotFoundError, match=r'broken.*cannot be loaded'):
        load_model(str(broken), device='cpu')


def test_a_single_file_takes_its_configuration_from_the_folder_beside_it(tmp_path, monkeypatch, pipeline):
    file = tmp_path / 'sdxl.safetensors'
    file.write_bytes(b'weights')
    calls = []

    def from_single_file(path, **options):
        calls.append((path, options))
        return pipeline

    monkeypatch.setattr(StableDiffusionXLPipeline, 'from_single_file', from_single_file)
    model = load_model(str(file), device='cpu', dtype='fp32')
    assert 'config' not in calls[0][1] and calls[0][0] == str(file)
    assert model.identity == content_hash(file)
    (tmp_path / 'sdxl').mkdir()
    (tmp_path / 'sdxl' / 'model_index.json').write_text('{}')
    load_model(str(file), device='cpu', dtype='fp32')
    assert calls[1][1]['config'] == str(tmp_path / 'sdxl') and calls[1][1]['local_files_only']


def test_other_weight_files_are_refused(tmp_path):
    file = tmp_path / 'model.ckpt'
    file.write_bytes(b'')
    with pytest.raises(ValueError, match=r'expected a \.safetensors file'):
        load_model(str(file), device='cpu')


def test_unknown_dtype_and_missing_gpu(tiny_sdxl_dir):
    with pytest.raises(ValueError, match="'int4' is unknown; expected one of fp16, bf16, fp32"):
        load_model(str(tiny_sdxl_dir), device='cpu', dtype='int4')
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match='use device cpu'):
            load_model(str(tiny_sdxl_dir))


def test_fingerprint_depends_on_content_and_dtype_not_on_the_path(tiny_sdxl_dir, tiny_model, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(tiny_sdxl_dir, copy)
    moved = load_model(str(copy), device='cpu', dtype='fp32')
    assert moved.fingerprint() == tiny_model.fingerprint()
    assert load_model(str(copy), device='cpu', dtype='bf16').fingerprint() != moved.fingerprint()
    weights = next((copy / 'unet').glob('*.safetensors'))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert content_hash(copy) != content_hash(tiny_sdxl_dir)


def test_large_files_are_sampled_to_their_very_end(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, 'SAMPLES', 4)
    monkeypatch.setattr(loading, 'SAMPLE_BYTES', 8)
    file = tmp_path / 'weights.safetensors'
    hashes = set()
    for changed in (None, 0, 999):
        content = bytearray(1000)
        if changed is not None:
            content[changed] = 1
        file.write_bytes(content)
        hashes.add(content_hash(file))
    assert len(hashes) == 3


class TestLora:
    @pytest.fixture(scope='class')
    def lora(self, tiny_sdxl_dir, tmp_path_factory):
        peft = pytest.importorskip('peft')
        unet = StableDiffusionXLPipeline.from_pretrained(tiny_sdxl_dir, local_files_only=True).unet
        unet.add_adapter(peft.LoraConfig(r=2, target_modules=['to_q'], init_lora_weights=False))
        layers = peft.utils.get_peft_model_state_dict(unet)
        directory = tmp_path_factory.mktemp('lora')
        StableDiffusionXLPipeline.save_lora_weights(
            directory, unet_lora_layers=layers, weight_name='my.safetensors'
        )
        return directory / 'my.safetensors'

    def test_is_fused_and_part_of_the_fingerprint(self, lora, tiny_sdxl_dir, tiny_model, no_network):
        model = load_model(str(tiny_sdxl_dir), device='cpu', dtype='fp32', lora=str(lora))
        assert set(model.unet.state_dict()) == set(tiny_model.unet.state_dict())
        moved = {
            name.rsplit('.', 2)[-2]
            for name, weight in model.unet.state_dict().items()
            if not torch.equal(weight, tiny_model.unet.state_dict()[name])
        }
        assert moved == {'to_q'}
        assert model.fingerprint() != tiny_model.fingerprint()

    def test_missing_or_unfit(self, tiny_sdxl_dir, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'none\.safetensors: no such file'):
            load_model(str(tiny_sdxl_dir), device='cpu', lora=str(tmp_path / 'none.safetensors'))
        unfit = tmp_path / 'unfit.safetensors'
        unfit.write_bytes(b'nothing')
        with pytest.raises(ValueError, match=r'unfit\.safetensors does not fit'):
            load_model(str(tiny_sdxl_dir), device='cpu', lora=str(unfit))
