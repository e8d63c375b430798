"""BiSeNetV2 for the three WTA classes, FocalLoss on every head."""

_base_ = ['./bisenetv2.py', '../losses/focal.py']

model_name = 'BiSeNetV2'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
    auxiliary_head=[
        {**head, 'num_classes': 3, 'loss_decode': _base_.focal_loss} for head in _base_.model.auxiliary_head
    ],
)
