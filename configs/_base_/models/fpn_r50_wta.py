"""Semantic FPN for the three WTA classes, FocalLoss on every head."""

_base_ = ['./fpn_r50.py', '../losses/focal.py']

model_name = 'Semantic FPN'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=3, loss_decode=_base_.focal_loss),
)
