"""The parts of the demo model: those of Stable Diffusion XL, narrower, with an autoencoder of 4 pixels a cell."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from augment.bench.random_model import SDXL_SCHEDULER
from augment.demo_model.tokens import END, MAX_TOKENS, PAD_TOKENS, START, write_tokenizer
from augment.diffusion.loading import INDEX_FILE
from augment.files import write_json

WORDS = ('scratch', 'rust', 'peeling', 'corrosion', 'blistering', 'dent')
"""The defect words of the published method, in its order."""
SOURCE_PROMPT = 'photo of a crack'
VOCABULARY = (*SOURCE_PROMPT.split(), 'with', *WORDS)
TIME_IDS = 6  # original size, crop corner and target size, two numbers each
SHARD_SIZE = '14MB'  # no file of the repository is larger than 15 MB


@dataclass(frozen=True)
class Architecture:
    """Widths and depths; the defaults are the shipped model's, about 15 million parameters.

    Attributes:
        size: Side in pixels of the images that the model is trained on, its native size.
        unet: Channels per level; attention in all levels but the first, as in SDXL.
        heads: Attention heads per level.
        vae: Channels per level; each level but the last halves the size.
        text: Width of each text encoder; the UNet sees both side by side.
        groups: Of the group normalisations in the UNet and the autoencoder.
    """

    size: int = 128
    unet: tuple[int, ...] = (64, 128, 192)
    heads: tuple[int, ...] = (2, 4, 6)
    unet_layers: int = 1
    transformer_layers: tuple[int, ...] = (1, 1, 1)
    vae: tuple[int, ...] = (32, 64, 128)
    vae_layers: int = 1
    latent_channels: int = 4
    text: int = 128
    text_layers: int = 3
    text_heads: int = 4
    time_id_width: int = 32
    groups: int = 32

    @property
    def cell(self) -> int:
        """Pixels per latent cell along one side."""
        return 2 ** (len(self.vae) - 1)


@dataclass
class Parts:
    """The modules of one pipeline; text encoders and tokenizers in the order of SDXL."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoders: tuple[CLIPTextModel, CLIPTextModelWithProjection]
    tokenizers: tuple[Any, Any]
    scheduler: DDIMScheduler

    @property
    def native_size(self) -> int:
        """Side in pixels of the images that the model is made for."""
        return self.unet.config.sample_size * 2 ** (len(self.vae.config.block_out_channels) - 1)

    def modules(self) -> dict[str, nn.Module]:
        """The modules that have weights, by their folder's name in the diffusers layout."""
        first, second = self.text_encoders
        return {'unet': self.unet, 'vae': self.vae, 'text_encoder': first, 'text_encoder_2': second}


def target_prompt(word: str | None) -> str:
    """The caption of an image whose defects look like ``word``, or like those of the source where it is None."""
    return SOURCE_PROMPT if word is None else f'{SOURCE_PROMPT} with {word}'


def build_parts(architecture: Architecture | None = None, seed: int = 0) -> Parts:
    """The untrained model; the same seed gives the same weights, and the global random state stays as it was."""
    a = architecture or Architecture()
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizers = tuple(
            write_tokenizer(Path(folder) / str(number), pad, VOCABULARY)
            for number, pad in enumerate(PAD_TOKENS)
        )
        config = text_config(a, tokenizers[0].get_vocab())
        encoders = CLIPTextModel(config), CLIPTextModelWithProjection(config)
        return Parts(build_unet(a), build_vae(a), encoders, tokenizers, DDIMScheduler(**SDXL_SCHEDULER))


def read_parts(directory: Path) -> Parts:
    """The parts of a saved model in float32.

    Raises:
        FileNotFoundError: ``directory`` holds no model in the diffusers layout.
    """
    if not (directory / INDEX_FILE).is_file():
        raise FileNotFoundError(
            f'{directory} has no {INDEX_FILE}; expected a model in the diffusers layout, as training writes to weights/'
        )
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        directory, torch_dtype=torch.float32, use_safetensors=True, local_files_only=True
    )
    return Parts(
        pipeline.unet,
        pipeline.vae,
        (pipeline.text_encoder, pipeline.text_encoder_2),
        (pipeline.tokenizer, pipeline.tokenizer_2),
        DDIMScheduler.from_config(pipeline.scheduler.config),
    )


def text_config(a: Architecture, vocabulary: dict[str, int]) -> CLIPTextConfig:
    """Of both text encoders."""
    return CLIPTextConfig(
        vocab_size=len(vocabulary),
        bos_token_id=vocabulary[START],
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[END],
        hidden_size=a.text,
        intermediate_size=4 * a.text,
        num_hidden_layers=a.text_layers,
        num_attention_heads=a.text_heads,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=a.text,
        hidden_act='quick_gelu',
    )


def build_unet(a: Architecture) -> UNet2DConditionModel:
    """SDXL's UNet in small: two text encoders' tokens, their pooled vector and the sizes as conditions."""
    levels = len(a.unet)
    return UNet2DConditionModel(
        sample_size=a.size // a.cell,
        in_channels=a.latent_channels,
        out_channels=a.latent_channels,
        block_out_channels=a.unet,
        norm_num_groups=a.groups,
        layers_per_block=a.unet_layers,
        down_block_types=('DownBlock2D', *['CrossAttnDownBlock2D'] * (levels - 1)),
        up_block_types=(*['CrossAttnUpBlock2D'] * (levels - 1), 'UpBlock2D'),
        transformer_layers_per_block=a.transformer_layers,
        attention_head_dim=a.heads,
        cross_attention_dim=2 * a.text,
        use_linear_projection=True,
        addition_embed_type='text_time',
        addition_time_embed_dim=a.time_id_width,
        projection_class_embeddings_input_dim=TIME_IDS * a.time_id_width + a.text,
    )


def build_vae(a: Architecture) -> AutoencoderKL:
    """An autoencoder of SDXL's kind; its scaling factor is measured after training."""
    levels = len(a.vae)
    return AutoencoderKL(
        block_out_channels=a.vae,
        norm_num_groups=a.groups,
        layers_per_block=a.vae_layers,
        down_block_types=('DownEncoderBlock2D',) * levels,
        up_block_types=('UpDecoderBlock2D',) * levels,
        latent_channels=a.latent_channels,
        sample_size=a.size,
        scaling_factor=1.0,
    )


def count_parameters(parts: Parts) -> dict[str, int]:
    """Parameters of each module."""
    return {name: sum(p.numel() for p in module.parameters()) for name, module in parts.modules().items()}


def time_ids(size: int, count: int, device: torch.device | str) -> torch.Tensor:
    """SDXL's size conditions ``(count, 6)`` of square images that are neither scaled nor cropped."""
    return torch.tensor([[size, size, 0, 0, size, size]], dtype=torch.float32, device=device).expand(
        count, -1
    )


def caption_ids(parts: Parts, captions: Sequence[str], device: torch.device | str) -> list[torch.Tensor]:
    """Token ids ``(N, 77)`` of both tokenizers."""
    return [
        tokenizer(
            list(captions), padding='max_length', max_length=MAX_TOKENS, return_tensors='pt'
        ).input_ids.to(device)
        for tokenizer in parts.tokenizers
    ]


def encode_captions(parts: Parts, ids: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens ``(N, 77, 2 * text)`` and pooled vectors ``(N, text)`` of ``caption_ids``, with gradients.

    As in SDXL: the penultimate layer of both encoders side by side, and the second one's projection.
    """
    outputs = [
        encoder(numbers, output_hidden_states=True) for encoder, numbers in zip(parts.text_encoders, ids)
    ]
    return torch.cat([output.hidden_states[-2] for output in outputs], dim=-1), outputs[-1].text_embeds


def save_parts(parts: Parts, directory: Path) -> None:
    """Write float16 copies of the modules in the diffusers layout, in files of at most SHARD_SIZE."""
    pipeline = StableDiffusionXLPipeline(
        vae=parts.vae,
        text_encoder=parts.text_encoders[0],
        text_encoder_2=parts.text_encoders[1],
        tokenizer=parts.tokenizers[0],
        tokenizer_2=parts.tokenizers[1],
        unet=parts.unet,
        scheduler=parts.scheduler,
        add_watermarker=False,
    )
    dtypes = {name: module.dtype for name, module in parts.modules().items()}
    weights = {name: {k: v.clone() for k, v in m.state_dict().items()} for name, m in parts.modules().items()}
    try:
        for module in parts.modules().values():
            module.half()
        pipeline.save_pretrained(directory, max_shard_size=SHARD_SIZE)
        for config in sorted(directory.glob('*/config.json')):
            facts = json.loads(config.read_text())
            facts.pop(
                '_name_or_path', None
            )  # a folder of this machine, where the training began with a model
            write_json(config, facts)
    finally:
        for name, module in parts.modules().items():
            module.to(dtypes[name]).load_state_dict(weights[name])
