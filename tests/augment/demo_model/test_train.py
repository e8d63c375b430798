"""The training: what its losses measure, and that a stopped one goes on to the same weights."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from augment.demo_model import stage
from augment.demo_model.architecture import build_parts, read_parts, save_parts
from augment.demo_model.latents import VIEWS, load_or_encode, normalise_latents, turned
from augment.demo_model.losses import autoencoder_loss, min_snr_weights, pixel_weights, similarity
from augment.demo_model.stage import Limit, Stage, Task
from augment.demo_model.train import UNFINISHED, main
from augment.demo_model.trainer import CAPTIONS, LOOKS, Settings, Trainer
from augment.diffusion.loading import load_model

SETTINGS = Settings(vae_steps=6, unet_steps=6, vae_batch=2, unet_batch=4)


class AfterSteps(Limit):
    """A limit that is reached after so many questions."""

    def __init__(self, steps: int):
        self.left = steps

    def reached(self) -> bool:
        self.left -= 1
        return self.left < 0


def train(tiny, crops, folder, limit, settings=SETTINGS):
    folder.mkdir(exist_ok=True)
    trainer = Trainer(build_parts(tiny), crops, settings, folder, torch.device('cpu'), lambda line: None)
    return trainer.run(limit)


@pytest.mark.parametrize('stop', [4, 9])
def test_a_stopped_training_goes_on_to_the_same_weights(tiny, crops, tmp_path, stop):
    assert train(tiny, crops, tmp_path / 'whole', Limit())
    assert not train(tiny, crops, tmp_path / 'pieces', AfterSteps(stop))
    assert train(tiny, crops, tmp_path / 'pieces', Limit())
    files = sorted(
        p.relative_to(tmp_path / 'whole') for p in (tmp_path / 'whole/weights').rglob('*.safetensors')
    )
    assert len(files) == 4
    for file in files:
        assert (tmp_path / 'whole' / file).read_bytes() == (tmp_path / 'pieces' / file).read_bytes()


def test_the_trained_model_loads_and_its_latents_have_unit_spread(tiny, crops, tmp_path):
    train(tiny, crops, tmp_path / 'a', Limit())
    model = load_model(str(tmp_path / 'a/weights'), device='cpu', dtype='fp32')
    images = torch.from_numpy(crops.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    # Measured over four views of each crop in float32, saved in float16.
    assert model.encode_images(images).std().item() == pytest.approx(1, abs=0.03)


def test_normalised_latents_have_mean_0_and_deviation_1_and_decode_as_before(tiny):
    vae = build_parts(tiny).vae.eval()
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        posterior = vae.encode(images).latent_dist
        decoded = vae.decode(posterior.mean).sample
        mean, std = posterior.mean.mean((0, 2, 3)), posterior.mean.std((0, 2, 3))
        normalise_latents(vae, mean, std)
        again = vae.encode(images).latent_dist
        torch.testing.assert_close(vae.decode(again.mean).sample, decoded, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(again.mean.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(again.mean.std((0, 2, 3)), torch.ones(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(again.std, posterior.std / std.view(1, -1, 1, 1), atol=1e-4, rtol=1e-4)


def test_a_trained_autoencoder_can_be_kept(tiny, crops, tmp_path):
    parts = build_parts(tiny, seed=3)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        before = parts.vae(images).sample
    trainer = Trainer(parts, crops, SETTINGS, tmp_path, torch.device('cpu'), keeps_vae=True)
    assert trainer.run(Limit())
    assert not (tmp_path / 'vae.state.pt').exists()
    with torch.no_grad():
        torch.testing.assert_close(parts.vae(images).sample, before, atol=1e-4, rtol=1e-4)


def test_a_model_is_trained_further_on_the_latents_that_it_knows(tiny, crops, tmp_path):
    save_parts(build_parts(tiny, seed=3), tmp_path / 'first')
    parts = read_parts(tmp_path / 'first')
    assert parts.native_size == 64 and parts.unet.dtype == torch.float32
    before = {
        f'{name}.{key}': value.clone()
        for name, module in parts.modules().items()
        for key, value in module.state_dict().items()
    }
    trainer = Trainer(
        parts, crops, SETTINGS, tmp_path, torch.device('cpu'), keeps_vae=True, keeps_latents=True
    )
    assert trainer.run(Limit())
    again = read_parts(tmp_path / 'weights')
    changed = {
        name.split('.')[0]
        for name, module in again.modules().items()
        for key, value in module.state_dict().items()
        if not torch.equal(value, before[f'{name}.{key}'])
    }
    assert changed == {'unet', 'text_encoder', 'text_encoder_2'}
    ids = again.tokenizers[0]('photo of a crack with rust').input_ids
    assert ids == parts.tokenizers[0]('photo of a crack with rust').input_ids and len(ids) == 8


def test_frozen_convolutions_keep_their_weights(tiny, crops, tmp_path):
    parts = build_parts(tiny)
    before = {name: value.clone() for name, value in parts.unet.state_dict().items()}
    settings = replace(SETTINGS, freeze_convolutions=True)
    trainer = Trainer(
        parts, crops, settings, tmp_path, torch.device('cpu'), keeps_vae=True, keeps_latents=True
    )
    assert trainer.run(Limit())
    changed = {
        name for name, value in parts.unet.state_dict().items() if not torch.equal(value, before[name])
    }
    assert any('attn2.to_k' in name for name in changed) and any('time_emb_proj' in name for name in changed)
    assert not any('conv' in name and 'norm' not in name for name in changed)


def test_a_start_that_is_no_model_is_one_line_and_status_2(tmp_path, capsys):
    arguments = ['--data', str(tmp_path), '--out', str(tmp_path / 'out'), '--init', str(tmp_path / 'none')]
    assert main([*arguments, '--device', 'cpu']) == 2
    assert 'none has no model_index.json; expected a model' in capsys.readouterr().err


def test_latents_are_encoded_once_and_again_for_other_crops(tiny, crops, tmp_path, monkeypatch):
    vae, calls = build_parts(tiny).vae, []
    encode = vae.encode
    monkeypatch.setattr(vae, 'encode', lambda batch: calls.append(len(batch)) or encode(batch))
    images = torch.from_numpy(crops.images).permute(0, 3, 1, 2)
    defects = torch.from_numpy(crops.defects)[:, None]
    results = [
        load_or_encode(vae, x, defects, views, tmp_path, contextlib.nullcontext)
        for x, views in ((images, 2), (images, 2), (images.flip(-1), 2), (images.flip(-1), 3))
    ]
    assert calls == [14] * 7
    assert torch.equal(results[0].values, results[1].values)
    assert len(results[1].cells) == 28 and len(results[3].values) == 42
    assert results[0].standardised().float().std((0, 2, 3)).tolist() == pytest.approx([1] * 4, abs=1e-2)


def test_training_lowers_both_losses(tiny, crops, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, 'LOG_STEPS', 10)
    losses = {}

    def report(line: str) -> None:
        if ': step' in line:
            name, rest = line.split(': step')
            losses.setdefault(name, []).append(float(rest.split('loss ')[1].split()[0]))

    settings = replace(SETTINGS, vae_steps=60, unet_steps=60, vae_rate=2e-3, unet_rate=2e-3)
    trainer = Trainer(build_parts(tiny), crops, settings, tmp_path, torch.device('cpu'), report)
    assert trainer.run(Limit())
    for name in ('vae', 'unet'):
        assert losses[name][-1] < 0.7 * losses[name][0]


def test_another_number_of_steps_is_refused(tiny, crops, tmp_path):
    train(tiny, crops, tmp_path / 'a', AfterSteps(2))
    with pytest.raises(ValueError, match='6 steps, not 8'):
        train(tiny, crops, tmp_path / 'a', Limit(), replace(SETTINGS, vae_steps=8))


def test_a_loss_that_is_not_finite_is_an_error(tmp_path):
    module = torch.nn.Linear(1, 1)
    stage = Stage('x', {'m': module}, 100, 1e-3, tmp_path, 0, torch.device('cpu'))
    with pytest.raises(FloatingPointError, match='x: loss nan at step 100'):
        task = Task(lambda generator: {}, lambda: module.weight.sum() * float('nan'))
        stage.run(task, Limit())


def test_captions_are_right_empty_or_drawn_in_the_asked_shares(tiny, crops, tmp_path):
    settings = replace(SETTINGS, caption_dropout=0.1, caption_noise=0.7)
    trainer = Trainer(build_parts(tiny), crops, settings, tmp_path, torch.device('cpu'))
    words = torch.full((40_000,), 3)
    captions = trainer.captions(words, torch.Generator().manual_seed(0))
    shares = torch.bincount(captions, minlength=len(CAPTIONS)) / len(words)
    assert CAPTIONS[4].endswith('peeling')
    # Four standard errors of a share near 0.4 are 0.01.
    assert shares[0].item() == pytest.approx(0.1, abs=0.01)
    assert shares[4].item() == pytest.approx(0.9 * (0.3 + 0.7 / LOOKS), abs=0.01)
    assert shares[1].item() == pytest.approx(0.9 * 0.7 / LOOKS, abs=0.01)


def test_views_are_all_different_and_view_zero_is_the_crop():
    image = torch.arange(12 * 12).view(1, 1, 12, 12)
    views = [turned(image, number) for number in range(VIEWS)]
    assert torch.equal(views[0], image)
    assert len({tuple(view.flatten().tolist()) for view in views}) == VIEWS


def test_the_autoencoder_pays_more_for_defects():
    image = torch.zeros(1, 3, 32, 32)
    defects = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    defects[..., 10:14, 10:14] = True
    weights = pixel_weights(defects, 4)
    moments = torch.zeros(1, 4, 8, 8)

    def loss(y: int) -> float:
        decoded = image.clone()
        decoded[..., y : y + 2, y : y + 2] = 0.5
        return autoencoder_loss(image, decoded, moments, moments, weights).item()

    assert loss(11) > 3 * loss(26)
    assert autoencoder_loss(image, image, moments, moments, weights).item() == pytest.approx(0, abs=1e-6)


def test_similarity_is_one_for_equal_images_and_falls_with_noise():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 32, 32, generator=generator)
    noise = torch.rand(1, 3, 32, 32, generator=generator)
    values = [similarity(image, image + scale * noise).item() for scale in (0, 0.2, 1)]
    assert values[0] == pytest.approx(1, abs=1e-5)
    assert values[0] > values[1] > values[2]


def test_min_snr_weights_are_one_where_noise_prevails():
    alphas = torch.tensor([0.999, 0.9, 0.5, 0.01], dtype=torch.float64)
    np.testing.assert_allclose(min_snr_weights(alphas), [5 / 999, 5 / 9, 1, 1])


def test_a_missing_dataset_is_one_line_and_status_2(tmp_path, capsys):
    status = main(['--data', str(tmp_path / 'none'), '--out', str(tmp_path / 'out'), '--device', 'cpu'])
    assert status == 2
    assert 'styles.json does not exist' in capsys.readouterr().err


def test_a_run_without_time_ends_unfinished_and_keeps_its_crops(styled_dataset, tmp_path):
    arguments = ['--data', str(styled_dataset), '--out', str(tmp_path / 'out'), '--device', 'cpu']
    assert main([*arguments, '--minutes', '1e-9', '--workers', '1']) == UNFINISHED
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['crops.npz', 'vae.state.pt']
