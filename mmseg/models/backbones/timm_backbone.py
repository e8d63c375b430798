"""Any model of timm that returns features: https://github.com/huggingface/pytorch-image-models."""

import difflib

from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.pretrained import BaseBackbone, read_state_dict


def _import_timm():
    # imported here, since timm and torchvision are optional
    try:
        import timm
    except Exception as error:  # a torchvision built for another torch raises RuntimeError or OSError
        raise ImportError(
            f'TIMMBackbone needs timm and a torchvision built for this torch: pip install "wta-seg[timm,torchvision]" '
            f'({type(error).__name__}: {error})'
        ) from error
    return timm


def _check_layout(checkpoint_path: str, model: nn.Module) -> None:
    """Raise if a file has none of the model's tensors, which timm itself would ignore."""
    state = read_state_dict(checkpoint_path)
    if not set(state) & set(model.state_dict()):
        raise ValueError(
            f"TIMMBackbone: checkpoint_path={checkpoint_path!r} is not in timm's layout of this model: it has "
            f'{list(state)[:3]}, expected {list(model.state_dict())[:3]}'
        )


@MODELS.register_module()
class TIMMBackbone(BaseBackbone):
    """A timm model as a backbone; its outputs are timm's feature maps.

    Args:
        model_name: of ``timm.list_models()``.
        features_only: return feature maps at the strides that ``out_indices`` selects. False returns only timm's
            unpooled last features.
        pretrained: download timm's weights.
        checkpoint_path: file in timm's layout to load instead.
        in_channels: of the image.
        init_cfg: weight initialisation; timm's own if None.
        kwargs: of ``timm.create_model``, such as ``out_indices`` and ``output_stride``.

    Raises:
        ImportError: timm or its torchvision can't be imported.
        FileNotFoundError: ``checkpoint_path`` is no file.
        RuntimeError: weights can't be loaded or downloaded.
        ValueError: timm has no such model, it has no feature maps, or the file is of another model.
    """

    def __init__(
        self,
        model_name: str,
        features_only: bool = True,
        pretrained: bool = True,
        checkpoint_path: str = '',
        in_channels: int = 3,
        init_cfg: dict | list[dict] | None = None,
        **kwargs,
    ) -> None:
        if not isinstance(pretrained, bool):
            raise ValueError(
                f'TIMMBackbone: pretrained is True or False, got {pretrained!r}; a file goes to checkpoint_path'
            )
        timm = _import_timm()
        super().__init__(init_cfg)
        if not timm.is_model(model_name):
            similar = difflib.get_close_matches(model_name, timm.list_models(), n=5)
            raise ValueError(f'TIMMBackbone: timm has no model {model_name!r}; similar: {similar}')
        if 'norm_layer' in kwargs and isinstance(kwargs['norm_layer'], str):
            kwargs['norm_layer'] = MODELS.get(kwargs['norm_layer'])
        if checkpoint_path:
            _check_layout(checkpoint_path, timm.create_model(model_name))
            # replaces timm's download; timm reads it before it removes the classifier
            kwargs['pretrained_cfg_overlay'] = dict(file=str(checkpoint_path))
        from_weights = pretrained or bool(checkpoint_path)
        try:
            self.timm_model: nn.Module = timm.create_model(
                model_name=model_name,
                features_only=features_only,
                pretrained=from_weights,
                in_chans=in_channels,
                **kwargs,
            )
        except (RuntimeError, AttributeError, AssertionError, OSError) as error:
            if from_weights:
                raise RuntimeError(
                    f"TIMMBackbone: {model_name} could not be built with its weights ({error}). Give timm's file as "
                    'checkpoint_path, or train from scratch: tools/train.py CONFIG --from-scratch'
                ) from error
            raise ValueError(
                f'TIMMBackbone: timm can not build {model_name} with features_only={features_only} ({error})'
            ) from error
        # not needed for features, and unused parameters stop distributed training
        for part in ('global_pool', 'fc', 'classifier', 'head'):
            if isinstance(getattr(self.timm_model, part, None), nn.Module):
                setattr(self.timm_model, part, None)
        self.features_only = features_only
        # timm has initialised it; an init_cfg must not overwrite weights that were loaded
        self._is_init = from_weights

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps, shallow to deep, of an image (N, in_channels, H, W)."""
        if self.features_only:
            return list(self.timm_model(x))
        return [self.timm_model.forward_features(x)]
