"""Learning rates that decrease from the last layer of a pretrained backbone to the first.

Decay by layer as in BEiT (Bao et al., 2022, section 3.2 and appendix) and MAE; by stage, or by groups of three
layers, as in ConvNeXt (Liu et al., 2022, appendix A).
"""

import warnings

from mmengine.dist import get_dist_info
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

# Backbones whose blocks are ``backbone.layers``; upstream supports the first two.
_TRANSFORMERS = ('BEiT', 'MAE', 'VisionTransformer')
_TOKENS = ('backbone.cls_token', 'backbone.mask_token', 'backbone.pos_embed')


def _vit_layer(name: str, max_layer: int) -> int:
    """Of BEiT, MAE and ViT: 0 for the embedding, i + 1 for block i, ``max_layer - 1`` for everything after."""
    if name in _TOKENS or name.startswith('backbone.patch_embed'):
        return 0
    if name.startswith('backbone.layers'):
        return int(name.split('.')[2]) + 1
    return max_layer - 1


def _convnext_layer(name: str, max_layer: int) -> int:
    """Of ConvNeXt: blocks in groups of three, and stages of three blocks as one group."""
    if name.startswith('backbone.downsample_layers'):
        return {0: 0, 1: 2, 2: 3, 3: max_layer}[int(name.split('.')[2])]
    if name.startswith('backbone.stages'):
        stage, block = (int(part) for part in name.split('.')[2:4])
        return {0: 1, 1: 2, 2: 3 + block // 3, 3: max_layer}[stage]
    return max_layer + 1


def _convnext_stage(name: str, max_stage: int) -> int:
    """Of ConvNeXt: 0 for the stem, i + 1 for stage i, ``max_stage - 1`` for everything after."""
    if name.startswith('backbone.downsample_layers'):
        return 0
    if name.startswith('backbone.stages'):
        return int(name.split('.')[2]) + 1
    return max_stage - 1


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LearningRateDecayOptimizerConstructor(DefaultOptimWrapperConstructor):
    """One parameter group per layer, with rate ``lr · decay_rate ** (number of layers after it)``.

    ``paramwise_cfg`` has ``num_layers`` (blocks of the backbone), ``decay_rate`` and ``decay_type``:
    ``layer_wise`` (BEiT, MAE, VisionTransformer, ConvNeXt), its older name ``layer_wise_vit``, or ``stage_wise`` (ConvNeXt). Biases and one-dimensional weights get
    no weight decay; tokens and position embeddings do, as in mmsegmentation.
    """

    def add_params(self, params: list[dict], module: nn.Module, **kwargs) -> None:
        """Append the groups of ``module``, a segmentor with a ``backbone``, to ``params``.

        Raises:
            NotImplementedError: the layers of this backbone are unknown.
        """
        settings = self.paramwise_cfg
        decay_type = settings.get('decay_type', 'layer_wise')
        count = settings['num_layers'] + 2
        groups: dict[str, dict] = {}
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            decays = param.ndim > 1 and not name.endswith('.bias')
            layer = self._layer(module, name, decay_type, settings['num_layers'])
            key = f'layer_{layer}_{"decay" if decays else "no_decay"}'
            if key not in groups:
                scale = settings['decay_rate'] ** (count - layer - 1)
                groups[key] = dict(
                    weight_decay=self.base_wd if decays else 0.0,
                    params=[],
                    param_names=[],
                    lr_scale=scale,
                    group_name=key,
                    lr=scale * self.base_lr,
                )
            groups[key]['params'].append(param)
            groups[key]['param_names'].append(name)
        if get_dist_info()[0] == 0:
            rates = ', '.join(f'{key}: {group["lr"]:.3g}' for key, group in groups.items())
            print_log(f'learning rates by layer: {rates}', 'current')
        params.extend(groups.values())

    @staticmethod
    def _layer(module: nn.Module, name: str, decay_type: str, num_layers: int) -> int:
        kind = type(module.backbone).__name__
        if decay_type == 'layer_wise' and 'ConvNeXt' in kind:
            return _convnext_layer(name, num_layers)
        if decay_type in ('layer_wise', 'layer_wise_vit') and any(known in kind for known in _TRANSFORMERS):
            return _vit_layer(name, num_layers + 2)
        if decay_type == 'stage_wise' and 'ConvNeXt' in kind:
            return _convnext_stage(name, num_layers + 2)
        raise NotImplementedError(
            f'paramwise_cfg.decay_type={decay_type!r} for a backbone {kind}; expected layer_wise for BEiT, MAE, '
            'VisionTransformer or ConvNeXt, stage_wise for ConvNeXt'
        )


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimizerConstructor(LearningRateDecayOptimizerConstructor):
    """The older name; ``paramwise_cfg`` has ``num_layers`` and ``layer_decay_rate``."""

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict) -> None:
        warnings.warn(
            'LayerDecayOptimizerConstructor is now LearningRateDecayOptimizerConstructor with '
            "paramwise_cfg=dict(num_layers=…, decay_rate=…, decay_type='layer_wise')",
            DeprecationWarning,
            stacklevel=2,
        )
        renamed = {key: value for key, value in paramwise_cfg.items() if key != 'layer_decay_rate'}
        renamed.update(decay_type='layer_wise', decay_rate=paramwise_cfg['layer_decay_rate'])
        super().__init__(optim_wrapper_cfg, renamed)
