"""Train without pretrained weights."""

from mmengine.config import Config

from .walk import config_dicts

#: Backbones that load pretrained weights unless ``pretrained`` is False.
_PRETRAINED_BY_DEFAULT = ('TIMMBackbone', 'TIMMVisionTransformer')


def drop_pretrained(cfg: Config) -> Config:
    """Remove, in place, every checkpoint that training would start from; returns ``cfg``.

    These are ``load_from``, ``pretrained`` anywhere in the model, ``init_cfg`` of type ``Pretrained`` and the weights
    of timm's models.
    """
    cfg.load_from = None
    for node in config_dicts(cfg.model):
        if str(node.get('type')).rpartition('.')[2] in _PRETRAINED_BY_DEFAULT:
            node.update(pretrained=False, checkpoint_path='')
        if node.get('pretrained'):
            node['pretrained'] = None if isinstance(node['pretrained'], str) else False
        init_cfg = node.get('init_cfg')
        inits = init_cfg if isinstance(init_cfg, list) else [init_cfg]
        others = [init for init in inits if not (isinstance(init, dict) and init.get('type') == 'Pretrained')]
        if len(others) < len(inits):
            node['init_cfg'] = others or None
    return cfg
