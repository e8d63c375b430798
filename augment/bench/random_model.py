"""Stable Diffusion XL of full size with random weights, for timing: time does not depend on the weights.

There are no text encoders, since a run encodes only three prompts; the embedding of a prompt is random but constant.
"""

from types import SimpleNamespace
from typing import Any

import torch

from augment.diffusion.model import EditModel, PromptEmbeddings

# config.json of unet and vae in stabilityai/stable-diffusion-xl-base-1.0, where it differs from the defaults
SDXL_UNET = {
    'sample_size': 128,
    'block_out_channels': (320, 640, 1280),
    'layers_per_block': 2,
    'down_block_types': ('DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'),
    'up_block_types': ('CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'),
    'transformer_layers_per_block': (1, 2, 10),
    'attention_head_dim': (5, 10, 20),
    'cross_attention_dim': 2048,
    'use_linear_projection': True,
    'addition_embed_type': 'text_time',
    'addition_time_embed_dim': 256,
    'projection_class_embeddings_input_dim': 2816,
}
SDXL_VAE = {
    'block_out_channels': (128, 256, 512, 512),
    'layers_per_block': 2,
    'down_block_types': ('DownEncoderBlock2D',) * 4,
    'up_block_types': ('UpDecoderBlock2D',) * 4,
    'latent_channels': 4,
    'sample_size': 1024,
    'scaling_factor': 0.13025,
}
SDXL_SCHEDULER = {
    'beta_start': 0.00085,
    'beta_end': 0.012,
    'beta_schedule': 'scaled_linear',
    'clip_sample': False,
    'set_alpha_to_one': False,
    'steps_offset': 1,
    'timestep_spacing': 'leading',
}
# The same in small, to try the benchmark itself on a CPU
TINY_UNET = SDXL_UNET | {
    'sample_size': 8,
    'block_out_channels': (16, 32, 32),
    'norm_num_groups': 8,
    'layers_per_block': 1,
    'transformer_layers_per_block': 1,
    'attention_head_dim': (2, 4, 4),
    'cross_attention_dim': 64,
    'addition_time_embed_dim': 8,
    'projection_class_embeddings_input_dim': 80,
}
TINY_VAE = SDXL_VAE | {'block_out_channels': (8, 8, 16, 16), 'norm_num_groups': 4, 'layers_per_block': 1}
SIZES = {'sdxl': (SDXL_UNET, SDXL_VAE), 'tiny': (TINY_UNET, TINY_VAE)}

TOKENS = 77  # of CLIP's text encoders


class WordTokenizer:
    """Replaces CLIP's tokenizer where only positions matter: one token a word."""

    model_max_length = TOKENS

    def __call__(self, prompt: str) -> Any:
        return SimpleNamespace(input_ids=['<start>', *(f'{word}</w>' for word in prompt.split()), '<end>'])

    def convert_ids_to_tokens(self, ids: list[str]) -> list[str]:
        """The words themselves are the ids."""
        return ids


class TimedModel(EditModel):
    """A model without text encoders: the embedding of a prompt is random but constant."""

    def encode_prompt(self, prompts: list[str]) -> PromptEmbeddings:
        """Random embeddings of the right size, with a seed made from the prompt."""
        width = self.unet.config.cross_attention_dim
        pooled = (
            self.unet.config.projection_class_embeddings_input_dim
            - 6 * self.unet.config.addition_time_embed_dim
        )
        rows = []
        for prompt in prompts:
            generator = torch.Generator().manual_seed(sum(prompt.encode()))
            rows.append(torch.randn(TOKENS * width + pooled, generator=generator))
        values = torch.stack(rows).to(self.device)
        return PromptEmbeddings(
            values[:, : TOKENS * width].unflatten(1, (TOKENS, width)), values[:, TOKENS * width :]
        )


def build_parts(size: str, device: str) -> tuple:
    """UNet, autoencoder and scheduler with random weights, drawn on the device."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

    unet_config, vae_config = SIZES[size]
    torch.manual_seed(0)
    with torch.device(device):
        unet, vae = UNet2DConditionModel(**unet_config), AutoencoderKL(**vae_config)
    return unet, vae, DDIMScheduler(**SDXL_SCHEDULER)


def build_model(unet, vae, scheduler, device: str, dtype: torch.dtype, **options: Any) -> TimedModel:
    """A model around the parts, which are converted in place; ``graphs`` says whether it may capture them."""
    graphs = options.pop('graphs', False)
    # Compiled blocks stay compiled; a model that asks for none must not see them.
    for module in unet.modules():
        module._compiled_call_impl = None
    model = TimedModel(
        unet, vae, scheduler, (WordTokenizer(),), id='random', device=device, dtype=dtype, **options
    )
    model.use_graphs = graphs and model.device.type == 'cuda'
    return model
