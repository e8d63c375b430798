"""Attention processors of our own: residual linear interpolation and prompt-to-prompt.

Attention is linear in its values. Replacing a map by another layer-mate's map is therefore running the fused
kernel with that mate's queries and keys, and taking over, permuting or scaling single columns of a
cross-attention map is mixing the 77 value vectors first. So even edited layers go through
``scaled_dot_product_attention`` and no map is ever written to memory, except for the few word columns that
LocalBlend looks at.

Rows of a batch under prompt-to-prompt are ``[anything | source * N | target * N]``; only the last 2N, the
conditional ones, are touched.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .prompts import Alignment


class ColumnMix:
    """What becomes of the target's cross-attention maps, as factors on values.

    The edited map is ``M[:, t] = eq[t] * (shared[t] * S[:, source[t]] + (1 - shared[t]) * T[:, t])`` with S and T
    the maps of source and target (Hertz et al. 2023, section 3.2: refinement, then re-weighting). Then
    ``M @ V = S @ (transfer @ V) + T @ (own * V)``.

    Attributes:
        transfer: ``(77, 77)`` float32, from target column to source column.
        own: ``(77, 1)`` float32, the target's own columns that stay.
    """

    def __init__(
        self, alignment: Alignment, positions: list[int], eq: float, device: torch.device | str = 'cpu'
    ):
        length = len(alignment.source)
        weight = torch.ones(length)
        weight[positions] = eq
        self.transfer = torch.zeros(length, length, device=device)
        self.own = torch.zeros(length, 1, device=device)
        self.transfer[alignment.source, torch.arange(length)] = (weight * alignment.shared).to(device)
        self.own[:, 0] = (weight * (1 - alignment.shared)).to(device)

    def copy_(self, other: 'ColumnMix') -> None:
        """Take over another mix in place, so that captured graphs see it."""
        self.transfer.copy_(other.transfer)
        self.own.copy_(other.own)


class WordMaps:
    """Running sum of the words' cross-attention maps at the coarsest resolution, for LocalBlend.

    Attributes:
        size: Height and width of the maps.
        columns: ``(2N, 77)``, 1 at the word's tokens in each row's prompt.
        total: ``(2N, h', w')`` float32, over steps, layers and heads.
    """

    def __init__(self, size: tuple[int, int], columns: Tensor):
        self.size, self.columns = size, columns
        self.total = torch.zeros(len(columns), *size, device=columns.device)

    def add(self, query: Tensor, key: Tensor, scale: float) -> None:
        """Add one layer's maps; ``query (2N, heads, h'w', d)``, ``key (2N, heads, 77, d)``."""
        maps = (query @ key.transpose(-1, -2) * scale).float().softmax(dim=-1)
        words = torch.einsum('nhpt,nt->np', maps, self.columns)
        self.total += words.view_as(self.total)


@dataclass
class PromptEdit:
    """Prompt-to-prompt for ``images`` pairs of source and target rows.

    Attributes:
        images: N, the number of pairs.
        mix: What becomes of cross-attention maps.
        self_max_positions: Self-attention maps of more positions are never replaced.
        word_maps: Collects LocalBlend's maps, where wanted.
        cross: Whether cross-attention is edited at this step.
        self_attention: Whether self-attention is replaced at this step.
    """

    images: int
    mix: ColumnMix
    self_max_positions: int = 32 * 32
    word_maps: WordMaps | None = None
    cross: bool = False
    self_attention: bool = False

    def phase(self) -> tuple:
        """What the processors do now, for the key of a captured graph."""
        return self.cross, self.self_attention, self.self_max_positions, self.word_maps is not None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Plain attention inside the block, for a pass that has no conditional rows."""
        before = self.cross, self.self_attention, self.word_maps
        self.cross, self.self_attention, self.word_maps = False, False, None
        try:
            yield
        finally:
            self.cross, self.self_attention, self.word_maps = before

    def rows(self, batch: int) -> tuple[slice, slice]:
        """The source rows and the target rows of a batch."""
        return slice(batch - 2 * self.images, batch - self.images), slice(batch - self.images, batch)


def edited_self_attention(
    query: Tensor, key: Tensor, value: Tensor, edit: PromptEdit, scale: float
) -> Tensor:
    """Self-attention ``(R, heads, P, d)`` in which the targets' maps are their sources' maps."""
    source, target = edit.rows(len(query))
    query = torch.cat([query[: target.start], query[source]])
    key = torch.cat([key[: target.start], key[source]])
    return F.scaled_dot_product_attention(query, key, value, scale=scale)


def edited_cross_attention(
    query: Tensor, key: Tensor, value: Tensor, edit: PromptEdit, scale: float
) -> Tensor:
    """Cross-attention ``(R, heads, P, d)`` in which the targets' maps are edited by ``edit.mix``."""
    source, target = edit.rows(len(query))
    plain = F.scaled_dot_product_attention(
        query[: target.start], key[: target.start], value[: target.start], scale=scale
    )
    taken = edit.mix.transfer.to(value.dtype) @ value[target]
    kept = edit.mix.own.to(value.dtype) * value[target]
    edited = F.scaled_dot_product_attention(query[source], key[source], taken, scale=scale)
    edited = edited + F.scaled_dot_product_attention(query[target], key[target], kept, scale=scale)
    return torch.cat([plain, edited])


class EditAttention:
    """Attention processor of one layer.

    Args:
        rli_alpha: Share of the layer's input in its output, 0 for layers without interpolation. The output is
            ``(1 - alpha) * attn(x) + alpha * x`` with x the input and attn including its output projection; a
            layer's own residual connection, where it has one, comes after.
        edit: Prompt-to-prompt, where it is wanted.
        word_maps: Whether LocalBlend looks at this layer.
    """

    def __init__(self, rli_alpha: float = 0.0, edit: PromptEdit | None = None, word_maps: bool = False):
        self.rli_alpha, self.edit, self.word_maps = rli_alpha, edit, word_maps

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        if attention_mask is not None:
            raise ValueError('attention masks are not used by SDXL and not supported here')
        given = hidden_states
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        if given.ndim == 4:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if encoder_hidden_states is not None and attn.norm_cross:
            context = attn.norm_encoder_hidden_states(context)
        query, key, value = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
        query = query.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        key = key.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        value = value.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        if attn.norm_q is not None:
            query = attn.norm_q(query)
        if attn.norm_k is not None:
            key = attn.norm_k(key)
        output = self._attend(query, key, value, attn.scale, cross=encoder_hidden_states is not None)
        output = attn.to_out[1](attn.to_out[0](output.transpose(1, 2).flatten(2)))
        if given.ndim == 4:
            output = output.transpose(1, 2).unflatten(2, given.shape[2:])
        if self.rli_alpha:
            output = (1 - self.rli_alpha) * output + self.rli_alpha * given
        if attn.residual_connection:
            output = output + given
        return output / attn.rescale_output_factor

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, scale: float, *, cross: bool) -> Tensor:
        edit = self.edit
        if edit is not None and cross:
            if (
                self.word_maps
                and edit.word_maps is not None
                and query.shape[2] == edit.word_maps.total[0].numel()
            ):
                source, target = edit.rows(len(query))
                conditional = slice(source.start, target.stop)
                edit.word_maps.add(query[conditional], key[conditional], scale)
            if edit.cross:
                return edited_cross_attention(query, key, value, edit, scale)
        elif edit is not None and edit.self_attention and query.shape[2] <= edit.self_max_positions:
            return edited_self_attention(query, key, value, edit, scale)
        return F.scaled_dot_product_attention(query, key, value, scale=scale)


def build_processors(unet: nn.Module, rli_alpha: float, edit: PromptEdit | None) -> dict[str, EditAttention]:
    """A processor per attention layer; interpolation in the self-attention of up blocks only.

    Raises:
        ValueError: Alpha is outside [0, 1], or the UNet has none of the layers that should be hooked.
    """
    if not 0 <= rli_alpha <= 1:
        raise ValueError(f'rli_alpha is {rli_alpha}; expected a share between 0 and 1')
    processors, interpolated, crossed = {}, 0, 0
    for name in unet.attn_processors:
        layer = unet.get_submodule(name.removesuffix('.processor'))
        in_up_block = name.startswith('up_blocks.')
        interpolate = in_up_block and not layer.is_cross_attention
        interpolated += interpolate
        crossed += layer.is_cross_attention
        looked_at = layer.is_cross_attention and (in_up_block or name.startswith('down_blocks.'))
        processors[name] = EditAttention(rli_alpha if interpolate else 0.0, edit, looked_at)
    if (rli_alpha and not interpolated) or (edit is not None and not crossed):
        kind = 'cross-attention' if interpolated or not rli_alpha else 'self-attention in up blocks'
        raise ValueError(
            f'{type(unet).__name__} has no {kind} among its {len(processors)} attention layers, so nothing would be '
            'edited; use an SDXL UNet'
        )
    return processors


@contextmanager
def attention_control(unet: nn.Module, rli_alpha: float, edit: PromptEdit | None = None) -> Iterator[None]:
    """Install the processors of ``build_processors`` inside the block; what was there before comes back after it."""
    before = dict(unet.attn_processors)
    unet.set_attn_processor(dict(build_processors(unet, rli_alpha, edit)))
    try:
        yield
    finally:
        unet.set_attn_processor(before)


def coarsest_map(unet: nn.Module, latent_size: tuple[int, int]) -> tuple[int, int]:
    """True height and width of the coarsest cross-attention map in down and up blocks.

    LocalBlend reads the maps there (16² in Stable Diffusion 1.4 at 512², 32² in SDXL at 1024²). Each down block
    but the last halves the size, odd sizes rounding up.
    """
    height, width = latent_size
    size = None
    for index, block in enumerate(unet.down_blocks):
        if index:
            height, width = -(-height // 2), -(-width // 2)
        if any(getattr(module, 'is_cross_attention', False) for module in block.modules()):
            size = (height, width)
    if size is None:
        raise ValueError(
            f'{type(unet).__name__} has no cross-attention in its down blocks, which LocalBlend needs'
        )
    return size
