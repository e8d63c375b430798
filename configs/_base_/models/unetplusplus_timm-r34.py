"""U-Net++ (Zhou et al., 2018) on timm's ResNet-34, as in segmentation_models_pytorch. Needs the extra ``timm``."""

norm_cfg = dict(type='SyncBN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='TIMMBackbone',
        model_name='resnet34',
        features_only=True,
        pretrained=True,
        out_indices=(0, 1, 2, 3, 4),
    ),
    decode_head=dict(
        type='UnetPlusPlusHead',
        in_channels=[64, 64, 128, 256, 512],
        in_index=[0, 1, 2, 3, 4],
        decoder_channels=(256, 128, 64, 32, 16),
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
