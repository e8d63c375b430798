"""UPerNet on BEiT-B for the three WTA classes, FocalLoss on every head.

``tools/model_converters/beit2mmseg.py`` makes the checkpoint from BEiT's released file of the same name.
Its relative positions need images of 512 x 512; others are padded to multiples of that and tested with a sliding window.
"""

_base_ = ['./upernet_beit.py', '../losses/focal.py']

model_name = 'BEiT'

model = dict(
    data_preprocessor=dict(size=(512, 512), test_cfg=dict(size_divisor=512)),
    pretrained='pretrain/beit_base_patch16_224_pt22k_ft22k.pth',
    backbone=dict(img_size=(512, 512)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
    auxiliary_head=dict(num_classes=3, loss_decode={**_base_.focal_loss, 'loss_weight': 0.4}),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
