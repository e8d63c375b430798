"""U-Net with five stages and pyramid pooling (Zhao et al., 2017). Sides of images are multiples of 16."""

_base_ = './fcn_unet_s5-d16.py'

model = dict(
    decode_head=dict(
        _delete_=True,
        type='PSPHead',
        pool_scales=(1, 2, 3, 6),
        in_channels=64,
        in_index=4,
        channels=16,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=_base_.norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    )
)
