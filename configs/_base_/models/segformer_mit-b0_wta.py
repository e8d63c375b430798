"""SegFormer for the three WTA classes, FocalLoss on every head."""

_base_ = ['./segformer_mit-b0.py', '../losses/focal.py']

model_name = 'SegFormer'

checkpoint = (
    'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/mit_b0_20220624-7e0fe6dd.pth'
)
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
)
