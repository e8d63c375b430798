"""OCRNet for the three WTA classes, FocalLoss on every head."""

_base_ = ['./ocrnet_hr18.py', '../losses/focal.py']

model_name = 'OCRNet'

first_head, second_head = _base_.model.decode_head
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=[
        {**first_head, 'num_classes': 3, 'loss_decode': {**_base_.focal_loss, 'loss_weight': 0.4}},
        {**second_head, 'num_classes': 3, 'loss_decode': _base_.focal_loss},
    ],
)
