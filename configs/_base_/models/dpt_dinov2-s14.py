"""DPT on a frozen DINOv2 ViT-S/14 (Oquab et al., 2024; Ranftl et al., 2021). Needs the extra ``timm``."""

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
        type='TIMMVisionTransformer',
        model_name='vit_small_patch14_dinov2',
        pretrained=True,
        out_indices=(2, 5, 8, 11),
        frozen=True,
        output_cls_token=True,
    ),
    decode_head=dict(
        type='DPTHead',
        in_channels=[384, 384, 384, 384],
        in_index=[0, 1, 2, 3],
        channels=256,
        embed_dims=384,
        post_process_channels=[48, 96, 192, 384],
        readout_type='project',
        patch_size=14,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
