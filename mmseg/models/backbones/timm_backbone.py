"""Any model of timm that returns feature maps: https://github.com/huggingface/pytorch-image-models."""

from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.pretrained import BaseBackbone
from ..utils.timm_models import TimmModel

#: Parts that features do not need; unused parameters stop distributed training.
_CLASSIFIER = ('global_pool', 'fc', 'classifier', 'head')


def without_classifier(model: nn.Module) -> nn.Module:
    """Remove the parts of a timm model that only classify, in place."""
    for part in _CLASSIFIER:
        if isinstance(getattr(model, part, None), nn.Module):
            setattr(model, part, None)
    return model


class TimmEncoder(BaseBackbone):
    """A backbone around a model of timm, whose weights are loaded when a training begins.

    A subclass sets ``_source``, the model and its weights, ``_options`` of ``timm.create_model``, and ``timm_model``.
    """

    _source: TimmModel
    _options: dict
    timm_model: nn.Module

    def init_weights(self) -> None:
        """Load the weights that the arguments name, else initialise as ``init_cfg`` says.

        Raises:
            FileNotFoundError: there are no weights; says which file to bring and where to put it.
            ValueError: the weights are of another model.
        """
        if not self._source.from_weights:
            super().init_weights()
            return
        loaded = without_classifier(self._source.load(**self._options))
        self.timm_model.load_state_dict(loaded.state_dict())
        self._is_init = True


@MODELS.register_module()
class TIMMBackbone(TimmEncoder):
    """A timm model as a backbone; its outputs are timm's feature maps.

    Weights are loaded when a training begins, so that a trained checkpoint can be used without them.

    Args:
        model_name: of ``timm.list_models()``.
        features_only: return feature maps at the strides that ``out_indices`` selects. False returns only timm's
            unpooled last features.
        pretrained: begin a training with timm's weights: from torch.hub's folder of checkpoints, else downloaded.
        checkpoint_path: file in timm's layout to begin with instead.
        in_channels: of the image.
        init_cfg: weight initialisation; timm's own if None.
        kwargs: of ``timm.create_model``, such as ``out_indices`` and ``output_stride``.

    Raises:
        TimmMissingError: timm or its torchvision can't be imported.
        ValueError: timm has no such model, or it has no feature maps.
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
        super().__init__(init_cfg)
        if isinstance(kwargs.get('norm_layer'), str):
            kwargs['norm_layer'] = MODELS.get(kwargs['norm_layer'])
        self._source = TimmModel('TIMMBackbone', model_name, checkpoint_path or pretrained)
        self._options = dict(features_only=features_only, in_chans=in_channels, **kwargs)
        self.features_only = features_only
        self.timm_model: nn.Module = without_classifier(self._source.build(**self._options))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps, shallow to deep, of an image (N, in_channels, H, W)."""
        if self.features_only:
            return list(self.timm_model(x))
        return [self.timm_model.forward_features(x)]
