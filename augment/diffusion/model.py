"""Stable Diffusion XL for editing: images to latents and back, prompts to embeddings, one UNet prediction.

The parts are those of diffusers; the model's own noise schedule is read as DDIM. The UNet runs in the requested
dtype, while latents, embeddings and everything computed from predictions stay float32. The autoencoder always runs
in float32: SDXL's overflows in float16.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from augment.config import AugmentConfig

RECOMPILE_LIMIT = 256
SDXL_VAE_SCALE = 8  # pixels per latent cell, for a model without autoencoder (timing); else the VAE's own


class NonFiniteError(FloatingPointError):
    """A stage produced NaN or infinity. ``images`` are the positions in the batch where it did."""

    def __init__(self, stage: str, images: list[int]):
        self.stage, self.images = stage, images
        super().__init__(
            f'non-finite values after {stage} in image(s) {images} of the batch; '
            'expected finite latents. Try dtype bf16 or fp32, a lower guidance, or leave the image out'
        )


def check_finite(values: Tensor, stage: str) -> Tensor:
    """Return ``values (N, ...)`` unchanged, or raise NonFiniteError naming the stage and the images."""
    finite = values.isfinite().flatten(1).all(dim=1)
    if not finite.all():
        raise NonFiniteError(stage, (~finite).nonzero().flatten().tolist())
    return values


@dataclass
class PromptEmbeddings:
    """Conditioning of the UNet by N prompts: ``tokens (N, 77, 2048)`` and ``pooled (N, 1280)`` in SDXL."""

    tokens: Tensor
    pooled: Tensor

    def expand(self, count: int) -> 'PromptEmbeddings':
        """One prompt for ``count`` images, without copying."""
        return PromptEmbeddings(self.tokens.expand(count, -1, -1), self.pooled.expand(count, -1))

    def repeat(self, times: int) -> 'PromptEmbeddings':
        """All rows, then all rows again."""
        return PromptEmbeddings(self.tokens.repeat(times, 1, 1), self.pooled.repeat(times, 1))

    def repeat_each(self, times: int) -> 'PromptEmbeddings':
        """Each row ``times`` times before the next."""
        return PromptEmbeddings(
            self.tokens.repeat_interleave(times, dim=0), self.pooled.repeat_interleave(times, dim=0)
        )

    def split(self) -> list['PromptEmbeddings']:
        """One item of a single row per prompt."""
        return [PromptEmbeddings(*pair) for pair in zip(self.tokens.split(1), self.pooled.split(1))]

    @classmethod
    def cat(cls, items: list['PromptEmbeddings']) -> 'PromptEmbeddings':
        """Stack prompts along the batch."""
        return cls(torch.cat([item.tokens for item in items]), torch.cat([item.pooled for item in items]))


class EditModel:
    """UNet, autoencoder, DDIM scheduler, tokenizers and text encoders, frozen and in evaluation mode.

    Args:
        unet: An SDXL ``UNet2DConditionModel`` (``addition_embed_type='text_time'``).
        vae: An ``AutoencoderKL``; moved to float32.
        scheduler: Any diffusers scheduler of the model; its configuration is read as DDIM.
        tokenizers: Two CLIP tokenizers; empty where prompts are never encoded.
        text_encoders: The two CLIP text encoders, in the order of the tokenizers; on the device only while they encode.
        identity: Names the weights in cache keys.
        size_condition: ``native`` conditions on the size the model was trained at, from its configuration, whatever the
            size of the latents; ``true`` on the size of the image.
        channels_last: Keep the UNet channels-last; slower on an H200 (README.md, speed).
    """

    def __init__(
        self,
        unet: nn.Module,
        vae: nn.Module | None,
        scheduler: Any,
        tokenizers: tuple = (),
        text_encoders: tuple = (),
        *,
        id: str,
        identity: str = '',
        revision: str | None = None,
        device: str | torch.device = 'cpu',
        dtype: torch.dtype = torch.float32,
        size_condition: str = AugmentConfig.size_condition,
        channels_last: bool = False,
        compile: bool = False,
    ):
        from diffusers import DDIMScheduler

        self.id, self.revision, self.dtype, self.identity = id, revision, dtype, identity
        self.device, self.size_condition = torch.device(device), size_condition
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.unet, self.vae = unet, vae
        self.tokenizers, self.text_encoders = tuple(tokenizers), tuple(text_encoders)
        for module in (unet, vae, *self.text_encoders):
            if module is not None:
                wanted = torch.float32 if module is vae else dtype
                if module.dtype != wanted:  # diffusers warns even about casts that change nothing
                    module.to(wanted)
                module.to('cpu' if module in self.text_encoders else self.device)
                module.eval().requires_grad_(False)
        self.unet.to(memory_format=self.memory_format)
        # Latents are not limited to [-1, 1], so a clip meant for pixels would break every step.
        self.scheduler = DDIMScheduler.from_config(scheduler.config, clip_sample=False, thresholding=False)
        self.use_graphs = self.device.type == 'cuda'
        self.compiled = compile
        self._kept: dict[tuple, Any] = {}
        self._graph_pool: Any = None
        self._graph_stream: torch.cuda.Stream | None = None
        self._prompts: dict[tuple[str, ...], PromptEmbeddings] = {}
        self._time_ids: dict[tuple[int, int], Tensor] = {}
        if compile:
            self._compile()

    def _compile(self) -> None:
        from diffusers.models.resnet import ResnetBlock2D
        from torch._dynamo import config

        # The code of one compiled block serves all of its kind; each width, place and size recompiles it: about twenty
        # times for each size of a batch in SDXL. Beyond the limit a block would run eagerly without a word.
        for name in ('recompile_limit', 'cache_size_limit'):
            if hasattr(config, name):
                setattr(config, name, max(getattr(config, name), RECOMPILE_LIMIT))
        self.unet.compile_repeated_blocks(dynamic=False)
        for module in self.unet.modules():
            if isinstance(module, ResnetBlock2D):
                module.compile(dynamic=False)

    @property
    def vae_scale(self) -> int:
        """Pixels per latent cell along one side; 8 for SDXL."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1) if self.vae is not None else SDXL_VAE_SCALE

    def kept(self, key: tuple, build: Callable[[], Any]) -> Any:
        """The object kept under ``key`` between calls, built at first use: processors, static buffers, graphs."""
        if key not in self._kept:
            self._kept[key] = build()
        return self._kept[key]

    def fitting_rows(self, rows: int, most: int) -> int:
        """Size of a batch that holds ``rows`` of at most ``most``: the next power of two with graphs, as each has one."""
        return min(1 << (rows - 1).bit_length(), most) if self.use_graphs else rows

    def graph_pool(self) -> Any:
        """Memory pool that all CUDA graphs of this model share; None without graphs.

        Sharing is safe because every graph reads and writes only static buffers outside the pool.
        """
        if self.use_graphs and self._graph_pool is None:
            self._graph_pool = torch.cuda.graph_pool_handle()
        return self._graph_pool

    def graph_stream(self) -> torch.cuda.Stream:
        """The CUDA stream that all graphs of this model are captured on.

        Pool memory that one graph frees can be used by another only on the same stream.
        """
        if self._graph_stream is None:
            self._graph_stream = torch.cuda.Stream(self.device)
        return self._graph_stream

    def release(self) -> None:
        """Drop all captured graphs and their buffers."""
        self._kept.clear()
        self._graph_pool = None

    @torch.no_grad()
    def encode_images(self, images: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` in [-1, 1] to scaled float32 latents ``(N, 4, H/8, W/8)``, posterior mode.

        Raises:
            ValueError: Height or width is no multiple of the latent cell.
            NonFiniteError: The autoencoder overflowed.
        """
        height, width = images.shape[-2:]
        if height % self.vae_scale or width % self.vae_scale:
            raise ValueError(
                f'image size {height}x{width} is no multiple of {self.vae_scale} pixels, the latent cell; '
                'pad or resize the images'
            )
        images = images.to(self.device, torch.float32)
        # One image at a time: the result must not depend on the batch, and full-size activations are large.
        latents = [self.vae.encode(image[None]).latent_dist.mode() for image in images]
        shift = getattr(self.vae.config, 'shift_factor', None) or 0.0
        return check_finite(
            (torch.cat(latents) - shift) * self.vae.config.scaling_factor, 'encoding the images'
        )

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Scaled latents ``(N, 4, h, w)`` to float32 images ``(N, 3, 8h, 8w)``, clamped to [-1, 1].

        Raises:
            NonFiniteError: Latents or decoded pixels are not finite.
        """
        shift = getattr(self.vae.config, 'shift_factor', None) or 0.0
        latents = latents.to(self.device, torch.float32) / self.vae.config.scaling_factor + shift
        images = torch.cat([self.vae.decode(latent[None]).sample for latent in latents])
        return check_finite(images, 'decoding the latents').clamp(-1, 1)

    @torch.no_grad()
    def encode_prompt(self, prompts: list[str]) -> PromptEmbeddings:
        """Both encoders' penultimate layer side by side, and the second one's projected sentence vector.

        As in SDXL (Podell et al. 2023, section 2.1). Float32 whatever the encoders' dtype. The same list of prompts is
        encoded once.

        Raises:
            ValueError: A prompt has more tokens than the encoders can take.
        """
        if tuple(prompts) not in self._prompts:
            self._prompts[tuple(prompts)] = self._encode_prompt(prompts)
        return self._prompts[tuple(prompts)]

    def _encode_prompt(self, prompts: list[str]) -> PromptEmbeddings:
        layers, pooled = [], None
        for tokenizer, encoder in zip(self.tokenizers, self.text_encoders):
            limit = tokenizer.model_max_length
            for prompt in prompts:
                length = len(tokenizer(prompt).input_ids)
                if length > limit:
                    raise ValueError(
                        f'prompt {prompt!r} has {length} tokens, at most {limit} fit; shorten it'
                    )
            ids = tokenizer(prompts, padding='max_length', max_length=limit, return_tensors='pt').input_ids
            try:
                output = encoder.to(self.device)(ids.to(self.device), output_hidden_states=True)
            finally:
                encoder.to('cpu')  # both take 1.6 GB in half precision, and a run encodes few prompts
            layers.append(output.hidden_states[-2].float())
            pooled = output[0].float()
        return PromptEmbeddings(check_finite(torch.cat(layers, dim=-1), 'encoding the prompts'), pooled)

    def predict(self, latents: Tensor, timestep: Tensor, tokens: Tensor, pooled: Tensor) -> Tensor:
        """The UNet's output, float32 ``(N, 4, h, w)``, for latents of that shape at ``timestep (1,)`` or ``(N,)``."""
        prediction = self.unet(
            latents.to(self.dtype).contiguous(memory_format=self.memory_format),
            timestep,
            encoder_hidden_states=tokens.to(self.dtype),
            added_cond_kwargs={'text_embeds': pooled.to(self.dtype), 'time_ids': self.time_ids(latents)},
            return_dict=False,
        )[0]
        return prediction.float().contiguous()

    def time_ids(self, latents: Tensor) -> Tensor:
        """SDXL's micro-conditioning ``(N, 6)``: original size, crop corner (0, 0), target size; heights first.

        Both sizes are the same: the model's native one or the true one, as ``size_condition`` says.
        """
        cells = self.unet.config.sample_size if self.size_condition == 'native' else latents.shape[-2:]
        cells = (cells, cells) if isinstance(cells, int) else cells
        height, width = (side * self.vae_scale for side in cells)
        if (height, width) not in self._time_ids:
            values = [[height, width, 0, 0, height, width]]
            self._time_ids[height, width] = torch.tensor(values, device=self.device, dtype=torch.float32)
        return self._time_ids[height, width].to(self.dtype).expand(len(latents), -1)

    def fingerprint(self) -> str:
        """Everything of this model that results depend on, for cache keys: weights, revision, LoRA and dtype."""
        return f'{self.identity or self.id}:{str(self.dtype).removeprefix("torch.")}'
