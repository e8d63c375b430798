"""PIDNet-S (Xu et al., 2023), as mmsegmentation's configs for Cityscapes have it, without class weights."""

norm_cfg = dict(type='SyncBN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
)
weights = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/pidnet/'
ohem = dict(type='OhemCrossEntropy', thres=0.9, min_kept=131072, loss_weight=1.0)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='PIDNet',
        in_channels=3,
        channels=32,
        ppm_channels=96,
        num_stem_blocks=2,
        num_branch_blocks=3,
        align_corners=False,
        norm_cfg=norm_cfg,
        act_cfg=dict(type='ReLU', inplace=True),
        init_cfg=dict(type='Pretrained', checkpoint=weights + 'pidnet-s_imagenet1k_20230306-715e6273.pth'),
    ),
    decode_head=dict(
        type='PIDHead',
        in_channels=128,
        channels=128,
        num_classes=19,
        norm_cfg=norm_cfg,
        act_cfg=dict(type='ReLU', inplace=True),
        align_corners=True,
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
            ohem,
            dict(type='BoundaryLoss', loss_weight=20.0),
            ohem,
        ],
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
