"""Fast-SCNN for the three WTA classes, FocalLoss on every head."""

_base_ = ['./fast_scnn.py', '../losses/focal.py']

model_name = 'Fast-SCNN'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
    auxiliary_head=[
        {**head, 'num_classes': 3, 'loss_decode': {**_base_.focal_loss, 'loss_weight': 0.4}}
        for head in _base_.model.auxiliary_head
    ],
)
