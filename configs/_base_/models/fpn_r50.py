"""Semantic FPN on ResNet-50 (Kirillov et al., 2019)."""

_base_ = './resnet50_d8.py'

model = dict(
    _delete_=True,
    **{
        **{key: value for key, value in _base_.model.items() if key != 'auxiliary_head'},
        'backbone': {**_base_.model.backbone, 'dilations': (1, 1, 1, 1), 'strides': (1, 2, 2, 2)},
        'neck': dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=4),
        'decode_head': dict(
            type='FPNHead',
            in_channels=[256, 256, 256, 256],
            in_index=[0, 1, 2, 3],
            feature_strides=[4, 8, 16, 32],
            channels=128,
            dropout_ratio=0.1,
            num_classes=19,
            norm_cfg=_base_.norm_cfg,
            align_corners=False,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        ),
    },
)
