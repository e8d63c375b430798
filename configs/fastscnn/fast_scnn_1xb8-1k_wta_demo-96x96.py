"""``make demo``: Fast-SCNN with FocalLoss, a few minutes on two CPU cores. Corresponds to no published result.

Command: ``make demo``, or after it ``python tools/train.py configs/fastscnn/fast_scnn_1xb8-1k_wta_demo-96x96.py``
"""

_base_ = [
    '../_base_/models/fast_scnn_wta.py',
    '../_base_/datasets/wta_demo.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_demo.py',
]

model = dict(data_preprocessor=dict(size=(96, 96)))
