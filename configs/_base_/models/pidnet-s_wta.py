"""PIDNet-S for the three WTA classes, FocalLoss on all branches but the boundaries."""

_base_ = ['./pidnet-s.py', '../losses/focal.py']

model_name = 'PIDNet-S'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(
        num_classes=3,
        loss_decode=dict(_delete_=True, **_base_.focal_loss),
        branch_weights=(0.4, 20.0, 1.0),
    ),
)
