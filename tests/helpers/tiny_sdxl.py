"""A tiny Stable Diffusion XL of real components, for tests that must not need the network or a GPU.

All parts that the editing method uses, in small: a UNet with ``text_time`` embeddings and both
attention kinds in down, mid and up blocks, an ``AutoencoderKL`` with 8 pixels a latent cell, two CLIP text
encoders, two CLIP tokenizers over one small byte-pair vocabulary, and a DDIM scheduler. The weights are
random but scaled: latents have unit standard deviation, and the noise prediction depends on the prompt so strongly
that guidance 15 moves the result of plain DDIM inversion far away from the image.
"""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from augment.demo_model.tokens import END, PAD_TOKENS, START, WORD_END, write_tokenizer

WORDS = 'photo of a scratch crack with rust peeling corrosion dent metal deep'
"""Words that are one token each, set apart by blanks. Any other word is spelt out letter by letter."""
SPLIT_WORD = (('blister', ''), ('ing', WORD_END))
"""The two tokens of 'blistering'; the second ends the word."""

TEXT_WIDTH = 32  # per encoder; the UNet gets both side by side
POOLED_WIDTH = 32
TIME_ID_WIDTH = 8
TIME_IDS = 6
PREDICTION_STD = 0.3  # of the noise prediction: enough to change a latent, small enough to be invertible
TEXT_GAIN = 20.0  # on the value projections of cross-attention
BETA_END = 0.002  # random weights remove no noise, so a full schedule would blow latents up by 1/0.07


def _text_config(vocabulary: dict[str, int]) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(vocabulary),
        bos_token_id=vocabulary[START],
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[END],
        hidden_size=TEXT_WIDTH,
        intermediate_size=2 * TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        projection_dim=POOLED_WIDTH,
        hidden_act='quick_gelu',
    )


def _unet() -> UNet2DConditionModel:
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32, 32),
        norm_num_groups=8,
        layers_per_block=1,
        down_block_types=('DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'),
        up_block_types=('CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'),
        transformer_layers_per_block=1,
        attention_head_dim=(2, 4, 4),
        cross_attention_dim=2 * TEXT_WIDTH,
        use_linear_projection=True,
        addition_embed_type='text_time',
        addition_time_embed_dim=TIME_ID_WIDTH,
        projection_class_embeddings_input_dim=TIME_IDS * TIME_ID_WIDTH + POOLED_WIDTH,
    )
    with torch.no_grad():
        for name, module in unet.named_modules():
            if name.endswith('attn2'):
                module.to_v.weight *= TEXT_GAIN
    return unet


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=('DownEncoderBlock2D',) * 4,
        up_block_types=('UpDecoderBlock2D',) * 4,
        latent_channels=4,
        sample_size=64,
    )


def smooth_images(count: int, generator: torch.Generator) -> Tensor:
    """Images ``(N, 3, 64, 64)`` in [-1, 1]: random colours of 8 x 8 fields, blended into each other."""
    coarse = torch.rand(count, 3, 8, 8, generator=generator) * 2 - 1
    return nn.functional.interpolate(coarse, size=(64, 64), mode='bilinear')


def psnr(model, latents: Tensor, reference: Tensor) -> Tensor:
    """PSNR of the images that ``model`` decodes, ``(N,)`` in dB; they span [-1, 1], so the peak is 2."""
    error = (model.decode_latents(latents) - model.decode_latents(reference)).square().flatten(1).mean(dim=1)
    return 10 * torch.log10(4 / error)


@torch.no_grad()
def _calibrate_vae(vae: AutoencoderKL, generator: torch.Generator) -> None:
    """Scale latents to standard deviation 1 and decoded images to 0.3 about grey."""
    vae.eval()
    images = smooth_images(4, generator)
    latents = vae.encode(images).latent_dist.mode()
    vae.register_to_config(scaling_factor=round(1 / latents.std().item(), 4))
    decoded = vae.decode(latents).sample
    vae.decoder.conv_out.weight *= 0.3 / decoded.std()
    vae.decoder.conv_out.bias.zero_()


@torch.no_grad()
def _calibrate_unet(unet: UNet2DConditionModel, tokens: Tensor, pooled: Tensor, generator: torch.Generator):
    """Scale the noise prediction to standard deviation PREDICTION_STD."""
    unet.eval()
    noise = torch.randn(len(tokens), 4, 8, 8, generator=generator)
    time_ids = torch.tensor([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]]).expand(len(tokens), -1)
    conditions = {'text_embeds': pooled, 'time_ids': time_ids}
    prediction = unet(noise, 500, encoder_hidden_states=tokens, added_cond_kwargs=conditions).sample
    unet.conv_out.weight *= PREDICTION_STD / prediction.std()
    unet.conv_out.bias.zero_()


def build_tiny_sdxl(directory: Path, seed: int = 0) -> Path:
    """Write the tiny pipeline to ``directory`` in the diffusers layout and return that directory.

    The same seed gives the same weights. The global random state is left as it was.
    """
    directory = Path(directory)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        tokenizer, tokenizer_2 = (
            write_tokenizer(directory / name, pad, WORDS.split(), SPLIT_WORD)
            for name, pad in zip(('tokenizer', 'tokenizer_2'), PAD_TOKENS)
        )
        config = _text_config(tokenizer.get_vocab())
        text_encoder, text_encoder_2 = (
            CLIPTextModel(config).eval(),
            CLIPTextModelWithProjection(config).eval(),
        )
        unet, vae = _unet(), _vae()
    pipeline = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=text_encoder,
        text_encoder_2=text_encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        unet=unet,
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=BETA_END,
            beta_schedule='scaled_linear',
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            timestep_spacing='leading',
        ),
        add_watermarker=False,
    )
    tokens, _, pooled, _ = pipeline.encode_prompt(['photo of a crack', ''], do_classifier_free_guidance=False)
    _calibrate_vae(vae, generator)
    _calibrate_unet(unet, tokens, pooled, generator)
    pipeline.save_pretrained(directory)
    return directory
