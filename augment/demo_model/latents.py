"""Latents that the UNet of the demo model is trained on: encoded once and kept in a file."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from augment.demo_model.losses import cell_weights

VIEWS = 4  # of each crop: as it is, transposed, mirrored, both
ENCODED_AT_ONCE = 256  # crops
LATENTS_FILE = 'latents.pt'


@dataclass
class Latents:
    """All views of N crops, view by view.

    Attributes:
        values: ``(V * N, 4, h, w)`` float16.
        cells: ``(V * N, 1, h, w)`` float16, the weights of the cells in the loss.
        mean: ``(4,)``, of each channel as encoded.
        std: ``(4,)``.
        key: Of what they were made from.
    """

    values: Tensor
    cells: Tensor
    mean: Tensor
    std: Tensor
    key: str

    def standardised(self) -> Tensor:
        """The values with mean 0 and standard deviation 1 in each channel."""
        centred = self.values.float() - self.mean.view(1, -1, 1, 1)
        return (centred / self.std.view(1, -1, 1, 1)).half()


def load_or_encode(
    vae: AutoencoderKL, images: Tensor, defects: Tensor, views: int, folder: Path, autocast: Callable
) -> Latents:
    """The latents in ``folder``, or encoded now and written there.

    Args:
        images: ``(N, 3, H, W)`` uint8.
        defects: ``(N, 1, H, W)`` bool.
        views: How many of the VIEWS of each crop.
        autocast: Context of the encoder.
    """
    path, key = folder / LATENTS_FILE, latents_key(vae, images, views)
    if path.is_file():
        latents = Latents(**torch.load(path, map_location=images.device, weights_only=True))
        if latents.key == key:
            return latents
    latents = encode(vae, images, defects, views, autocast)
    latents.key = key
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    torch.save(vars(latents), temporary)
    temporary.replace(path)
    return latents


def latents_key(vae: AutoencoderKL, images: Tensor, views: int) -> str:
    """Hash of what latents depend on: the encoder, the crops and the number of views."""
    digest = hashlib.sha256(f'{views} {tuple(images.shape)}'.encode())
    for value in (
        *vae.encoder.state_dict().values(),
        vae.quant_conv.weight,
        images[:: max(1, len(images) // 64)],
    ):
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def encode(vae: AutoencoderKL, images: Tensor, defects: Tensor, views: int, autocast: Callable) -> Latents:
    """Encode ``views`` views of the crops; see :func:`load_or_encode`."""
    cell = 2 ** (len(vae.config.block_out_channels) - 1)
    layout = torch.channels_last if images.is_cuda else torch.contiguous_format
    values, cells = [], []
    for view in range(views):
        for part, where in zip(images.split(ENCODED_AT_ONCE), defects.split(ENCODED_AT_ONCE)):
            batch = to_unit(turned(part, view)).contiguous(memory_format=layout)
            with autocast():
                mean = vae.encode(batch).latent_dist.mode()
            values.append(mean.float().contiguous())
            cells.append(cell_weights(turned(where, view), cell).half())
    latents = torch.cat(values)
    wide = latents.double()
    mean, std = wide.mean(dim=(0, 2, 3)).float(), wide.std(dim=(0, 2, 3)).float()
    return Latents(latents.half(), torch.cat(cells), mean, std, '')


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, mean: Tensor, std: Tensor) -> None:
    """Shift and scale the latents of ``vae`` by ``mean (C,)`` and ``std (C,)``; its round trip stays the same.

    Both are folded into the 1x1 convolutions beside the latents, so the scaling factor is 1.
    """
    channels = len(mean)
    weight, bias = vae.quant_conv.weight, vae.quant_conv.bias
    weight[:channels] /= std.view(-1, 1, 1, 1)  # the other half are log variances
    bias[:channels] = (bias[:channels] - mean) / std
    bias[channels:] -= 2 * std.log()
    weight, bias = vae.post_quant_conv.weight, vae.post_quant_conv.bias
    bias += weight[:, :, 0, 0] @ mean
    weight *= std.view(1, -1, 1, 1)
    vae.register_to_config(scaling_factor=1.0)


def turned(images: Tensor, view: int) -> Tensor:
    """View number ``view`` of square images ``(N, C, H, W)``."""
    images = images.transpose(-1, -2) if view & 1 else images
    return images.flip(-1) if view & 2 else images


def to_unit(images: Tensor) -> Tensor:
    """Bytes to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1
