"""Attention processors for SDXL's UNet: residual linear interpolation (RLI) and prompt-to-prompt.

Attention is linear in its values. Replacing a map by that of another row is the fused kernel called with that row's
queries and keys; editing columns of a cross-attention map is ``mixing.ColumnMix``. So edited layers go through
``scaled_dot_product_attention`` too, and no map is written to memory except for the word's columns that LocalBlend
reads.

Rows of a batch under prompt-to-prompt are ``[anything | N sources | N targets for each word]``; only the targets, the
last rows, are edited.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augment.diffusion.control import AttentionControl


def edited_self_attention(
    query: Tensor, key: Tensor, value: Tensor, control: AttentionControl, scale: float
) -> Tensor:
    """Self-attention ``(R, heads, P, d)`` in which the targets' maps are their sources' maps."""
    source, target = control.rows(len(query))
    query = torch.cat([query[: target.start], control.mix.repeat_sources(query[source])])
    key = torch.cat([key[: target.start], control.mix.repeat_sources(key[source])])
    return F.scaled_dot_product_attention(query, key, value, scale=scale)


def edited_cross_attention(
    query: Tensor, key: Tensor, value: Tensor, control: AttentionControl, scale: float
) -> Tensor:
    """Cross-attention ``(R, heads, P, d)`` in which the targets' maps are edited by ``control.mix``."""
    source, target = control.rows(len(query))
    plain = F.scaled_dot_product_attention(
        query[: target.start], key[: target.start], value[: target.start], scale=scale
    )
    mix = control.mix
    from_source = F.scaled_dot_product_attention(
        mix.repeat_sources(query[source]),
        mix.repeat_sources(key[source]),
        mix.source_values(value[target]),
        scale=scale,
    )
    from_target = F.scaled_dot_product_attention(
        query[target], key[target], mix.target_values(value[target]), scale=scale
    )
    edited = from_source + from_target
    return torch.cat([plain, edited])


class EditAttention:
    """Attention processor of one layer.

    Args:
        rli_alpha: Share of the layer's input in its output, 0 for layers without interpolation. The output is
            ``(1 - alpha) * attn(x) + alpha * x`` with x the input and attn including its output projection; the
            layer's own residual connection, where it has one, comes after.
        control: Prompt-to-prompt, where it is wanted.
        block: The layer's place in the UNet: down, mid or up.
    """

    def __init__(self, rli_alpha: float = 0.0, control: AttentionControl | None = None, block: str = ''):
        self.rli_alpha, self.control, self.block = rli_alpha, control, block

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Output of layer ``attn`` for ``hidden_states`` ``(R, P, c)`` or ``(R, c, H, W)``, of the same shape.

        Raises:
            ValueError: An attention mask is given; SDXL uses none.
        """
        if attention_mask is not None:
            raise ValueError('attention masks are not used by SDXL and not supported here')
        layer_input = hidden_states
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        if layer_input.ndim == 4:
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
        if layer_input.ndim == 4:
            output = output.transpose(1, 2).unflatten(2, layer_input.shape[2:])
        if self.rli_alpha:
            output = (1 - self.rli_alpha) * output + self.rli_alpha * layer_input
        if attn.residual_connection:
            output = output + layer_input
        return output / attn.rescale_output_factor

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, scale: float, *, cross: bool) -> Tensor:
        control = self.control
        if control is not None and cross:
            blend = control.local_blend
            if blend is not None and blend.reads(self.block, query):
                source, target = control.rows(len(query))
                first = source.start if control.cross else target.start
                blend.add(query[first:], key[first:], scale, control.mix if control.cross else None)
            if control.cross:
                return edited_cross_attention(query, key, value, control, scale)
        elif control is not None and control.self_attention and query.shape[2] <= control.self_max_positions:
            return edited_self_attention(query, key, value, control, scale)
        return F.scaled_dot_product_attention(query, key, value, scale=scale)


class AttentionProcessors:
    """One processor for each attention layer of a UNet; RLI in the self-attention of the up blocks only.

    Args:
        unet: The UNet they are for; ``installed()`` puts them into it.
        rli_alpha: RLI's share of the input, 0 to 1.
        control: Prompt-to-prompt, where it is wanted.
        processor: Class of the single processors.

    Raises:
        ValueError: Alpha is outside [0, 1], or the UNet has none of the layers that would be changed.
    """

    def __init__(
        self,
        unet: nn.Module,
        rli_alpha: float,
        control: AttentionControl | None = None,
        processor: type[EditAttention] = EditAttention,
    ):
        if not 0 <= rli_alpha <= 1:
            raise ValueError(f'rli_alpha is {rli_alpha}; expected a share between 0 and 1')
        self.unet, self.rli_alpha, self.control = unet, rli_alpha, control
        self.by_name: dict[str, EditAttention] = {}
        self._layers: list[tuple[nn.Module, EditAttention]] = []
        interpolated = crossed = 0
        for name in unet.attn_processors:
            layer = unet.get_submodule(name.removesuffix('.processor'))
            in_up_block = name.startswith('up_blocks.')
            interpolate = in_up_block and not layer.is_cross_attention
            interpolated += interpolate
            crossed += layer.is_cross_attention
            block = name.split('_')[0]  # down_blocks, mid_block, up_blocks
            self.by_name[name] = processor(rli_alpha if interpolate else 0.0, control, block)
            self._layers.append((layer, self.by_name[name]))
        if (rli_alpha and not interpolated) or (control is not None and not crossed):
            kind = 'cross-attention' if interpolated or not rli_alpha else 'self-attention in up blocks'
            raise ValueError(
                f'{type(unet).__name__} has no {kind} among its {len(self.by_name)} attention layers, so nothing '
                'would be edited; use an SDXL UNet'
            )

    def phase(self) -> tuple | None:
        """What the processors do at this step beside RLI, for the key of a captured graph."""
        return None if self.control is None else self.control.phase()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Use these processors inside the block; those before it are restored after it."""
        before = dict(self.unet.attn_processors)
        self.unet.set_attn_processor(dict(self.by_name))
        try:
            yield
        finally:
            self.unet.set_attn_processor(before)

    def require_installed(self) -> None:
        """Raises ``RuntimeError`` unless each layer of the UNet uses its processor from here."""
        if not all(layer.processor is processor for layer, processor in self._layers):
            raise RuntimeError(
                f'the UNet runs other attention processors than those built for rli_alpha={self.rli_alpha}; call '
                'inside "with attention.installed()"'
            )
