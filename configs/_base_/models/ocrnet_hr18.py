"""OCRNet on HRNetV2-W18 (Yuan et al., 2020): an FCN head, refined by the context of its classes."""

_base_ = './fcn_hr18.py'

cross_entropy = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)
model = dict(
    type='CascadeEncoderDecoder',
    num_stages=2,
    decode_head=[
        {**_base_.model.decode_head, 'loss_decode': {**cross_entropy, 'loss_weight': 0.4}},
        dict(
            type='OCRHead',
            in_channels=list(_base_.widths),
            in_index=[0, 1, 2, 3],
            input_transform='resize_concat',
            channels=512,
            ocr_channels=256,
            dropout_ratio=-1,
            num_classes=19,
            norm_cfg=_base_.norm_cfg,
            align_corners=False,
            loss_decode=cross_entropy,
        ),
    ],
)
