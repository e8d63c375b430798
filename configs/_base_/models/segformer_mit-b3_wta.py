"""SegFormer-B3 for the three WTA classes, FocalLoss on every head."""

_base_ = ['./segformer_mit-b3.py', '../losses/focal.py']

model_name = 'SegFormer-B3'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
)
