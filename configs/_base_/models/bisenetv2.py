"""BiSeNetV2 (Yu et al., 2021)."""

norm_cfg = dict(type='SyncBN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
)
cross_entropy = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)
auxiliary = dict(
    type='FCNHead',
    num_convs=2,
    num_classes=19,
    norm_cfg=norm_cfg,
    concat_input=False,
    align_corners=False,
    loss_decode=cross_entropy,
)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    pretrained=None,
    backbone=dict(
        type='BiSeNetV2',
        detail_channels=(64, 64, 128),
        semantic_channels=(16, 32, 64, 128),
        semantic_expansion_ratio=6,
        bga_channels=128,
        out_indices=(0, 1, 2, 3, 4),
        init_cfg=None,
        align_corners=False,
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=128,
        in_index=0,
        channels=1024,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=cross_entropy,
    ),
    auxiliary_head=[
        dict(auxiliary, in_channels=16, channels=16, in_index=1),
        dict(auxiliary, in_channels=32, channels=64, in_index=2),
        dict(auxiliary, in_channels=64, channels=256, in_index=3),
        dict(auxiliary, in_channels=128, channels=1024, in_index=4),
    ],
    # model training and testing settings
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
