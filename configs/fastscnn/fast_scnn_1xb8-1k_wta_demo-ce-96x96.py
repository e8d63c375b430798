"""``make demo``: Fast-SCNN with CrossEntropyLoss, otherwise as its FocalLoss twin."""

_base_ = ['./fast_scnn_1xb8-1k_wta_demo-96x96.py', '../_base_/losses/cross_entropy.py']

model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, **_base_.cross_entropy_loss)),
    auxiliary_head=[
        {**head, 'loss_decode': {**_base_.cross_entropy_loss, 'loss_weight': 0.4}}
        for head in _base_.model.auxiliary_head
    ],
)
