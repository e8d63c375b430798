"""Plain vision transformers of timm, such as DINOv2 and DINOv3, frozen unless they are to be trained.

Oquab et al., DINOv2, TMLR 2024; Siméoni et al., DINOv3, 2025.
"""

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.feature_cache import FeatureCache, Features
from ..utils.rope import put_rope_on_device
from ..utils.timm_models import TimmModel
from ..utils.wrappers import resize
from .timm_backbone import TimmEncoder

#: Layers whose outputs are taken if none are named.
_LEVELS = 4


@MODELS.register_module()
class TIMMVisionTransformer(TimmEncoder):
    """A plain transformer of timm as a backbone: maps of stride ``patch_size`` from chosen layers.

    An image whose sides are no multiples of the patch is enlarged to the next ones. Weights are loaded when a
    training begins, so that a trained checkpoint can be used without them.

    Args:
        model_name: of ``timm.list_models()``: ``vit_small_patch14_dinov2``, ``vit_base_patch16_dinov3``, or any other
            with ``forward_intermediates`` and one patch size.
        pretrained: True: timm's weights, from torch.hub's folder of checkpoints or downloaded. A name of timm with a
            tag: those weights. A file, in timm's layout or in that of the original authors. False: random weights.
        checkpoint_path: another name for a file of ``pretrained``.
        out_indices: layers whose outputs are returned, counted from 0; None: four, evenly spaced, with the last.
        norm: apply the final norm to every output, as DINOv2 does.
        output_cls_token: return (map, class token) pairs.
        frozen: leave the weights as they are: in eval mode, without gradients.
        in_channels: of the image.
        init_cfg: weight initialisation; timm's own if None.
        kwargs: of ``timm.create_model``, such as ``img_size`` and ``drop_path_rate``.

    Attributes:
        feature_cache: where a frozen transformer looks for its outputs, set by
            :class:`mmseg.engine.hooks.FeatureCacheHook`; None: they are computed.

    Raises:
        TimmMissingError: timm or its torchvision can't be imported.
        ValueError: timm has no such model, or it is no plain transformer.
    """

    feature_cache: FeatureCache | None = None

    def __init__(
        self,
        model_name: str,
        pretrained: bool | str = True,
        checkpoint_path: str = '',
        out_indices: Sequence[int] | None = None,
        norm: bool = True,
        output_cls_token: bool = False,
        frozen: bool = True,
        in_channels: int = 3,
        init_cfg: dict | list[dict] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(init_cfg)
        self._source = TimmModel(type(self).__name__, model_name, checkpoint_path or pretrained or False)
        # position embeddings keep their size and are interpolated to each image's
        self._options = dict(dynamic_img_size=True, num_classes=0, in_chans=in_channels, **kwargs)
        self.timm_model: nn.Module = self._source.build(**self._options)
        put_rope_on_device(self.timm_model)
        self.patch_size, depth = self._measures(model_name)
        if out_indices is None:
            out_indices = sorted({max(0, depth * (i + 1) // _LEVELS - 1) for i in range(_LEVELS)})
        if not out_indices or not set(out_indices) <= set(range(depth)):
            raise ValueError(
                f'TIMMVisionTransformer: out_indices={list(out_indices)}, expected layers of {model_name}, 0 to {depth - 1}'
            )
        self.out_indices = list(out_indices)
        self.norm, self.output_cls_token, self.frozen = norm, output_cls_token, frozen
        if output_cls_token and getattr(self.timm_model, 'cls_token', None) is None:
            raise ValueError(
                f'TIMMVisionTransformer: output_cls_token=True, and {model_name} has no class token'
            )
        if frozen:
            self.timm_model.requires_grad_(False)
        self.train()

    def _measures(self, model_name: str) -> tuple[int, int]:
        """Side of a patch in pixels, and number of layers."""
        blocks = getattr(self.timm_model, 'blocks', None)
        sides = set(getattr(getattr(self.timm_model, 'patch_embed', None), 'patch_size', ()))
        if not hasattr(self.timm_model, 'forward_intermediates') or blocks is None or len(sides) != 1:
            raise ValueError(
                f'TIMMVisionTransformer: {model_name} is no plain vision transformer; TIMMBackbone takes other models'
            )
        return sides.pop(), len(blocks)

    def _freeze_stages(self) -> None:
        if self.frozen:
            self.timm_model.eval()

    def identity(self) -> str:
        """What the features depend on beside weights and image."""
        options = dict(self._options, out_indices=self.out_indices, norm=self.norm, cls=self.output_cls_token)
        return f'{self._source.name} of timm {self._source.timm.__version__}, {sorted(options.items())}'

    def _encode(self, x: Tensor) -> Features:
        # an export leaves the size open, so it can't be compared; resizing to the same size changes nothing
        size = tuple(-(-side // self.patch_size) * self.patch_size for side in x.shape[2:])
        if torch.compiler.is_compiling() or size != tuple(x.shape[2:]):
            x = resize(x, size, mode='bilinear', align_corners=False)
        outputs = self.timm_model.forward_intermediates(
            x,
            indices=self.out_indices,
            return_prefix_tokens=self.output_cls_token,
            norm=self.norm,
            output_fmt='NCHW',
            intermediates_only=True,
        )
        # maps are views of tokens; an export can not tell the strides of what is computed from such
        if self.output_cls_token:
            return [[feature.contiguous(), tokens[:, 0]] for feature, tokens in outputs]
        return [feature.contiguous() for feature in outputs]

    def forward(self, x: Tensor) -> Features:
        """Maps (N, C, ceil(H / patch_size), ceil(W / patch_size)) of an image (N, in_channels, H, W)."""
        with torch.no_grad() if self.frozen else contextlib.nullcontext():
            if self.feature_cache is not None and self.frozen:
                return self.feature_cache.features(x, self._encode)
            return self._encode(x)
