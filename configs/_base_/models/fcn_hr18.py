"""FCN head on HRNetV2-W18 (Sun et al., 2019)."""

norm_cfg = dict(type='SyncBN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
)
widths = (18, 36, 72, 144)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    pretrained='open-mmlab://msra/hrnetv2_w18',
    backbone=dict(
        type='HRNet',
        norm_cfg=norm_cfg,
        norm_eval=False,
        extra=dict(
            stage1=dict(
                num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(4,), num_channels=(64,)
            ),
            stage2=dict(
                num_modules=1, num_branches=2, block='BASIC', num_blocks=(4,) * 2, num_channels=widths[:2]
            ),
            stage3=dict(
                num_modules=4, num_branches=3, block='BASIC', num_blocks=(4,) * 3, num_channels=widths[:3]
            ),
            stage4=dict(
                num_modules=3, num_branches=4, block='BASIC', num_blocks=(4,) * 4, num_channels=widths
            ),
        ),
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=list(widths),
        in_index=[0, 1, 2, 3],
        channels=sum(widths),
        input_transform='resize_concat',
        kernel_size=1,
        num_convs=1,
        concat_input=False,
        dropout_ratio=-1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
