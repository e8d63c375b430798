"""UPerNet on DeiT-B/16 for the three WTA classes, FocalLoss on every head.

``tools/model_converters/vit2mmseg.py`` makes the checkpoint from DeiT's released
deit_base_patch16_224-b5f2ef4d.pth.
"""

_base_ = ['./upernet_vit-b16_ln_mln.py', '../losses/focal.py']

model_name = 'ViT'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    pretrained='pretrain/deit_base_patch16_224-b5f2ef4d.pth',
    backbone=dict(drop_path_rate=0.1),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
    auxiliary_head=dict(num_classes=3, loss_decode={**_base_.focal_loss, 'loss_weight': 0.4}),
)
