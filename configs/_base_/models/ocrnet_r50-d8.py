"""OCRNet on ResNet-50 (Yuan et al., 2020): an FCN head, refined by the context of its classes."""

_base_ = './resnet50_d8.py'

first_head = {**_base_.model.auxiliary_head}
model = dict(
    _delete_=True,
    **{
        **_base_.model,
        'type': 'CascadeEncoderDecoder',
        'num_stages': 2,
        'auxiliary_head': None,
        'decode_head': [
            first_head,
            dict(
                type='OCRHead',
                in_channels=2048,
                in_index=3,
                channels=512,
                ocr_channels=256,
                dropout_ratio=0.1,
                num_classes=19,
                norm_cfg=_base_.norm_cfg,
                align_corners=False,
                loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            ),
        ],
    },
)
