"""FastFCN on crops of the original images.

An experiment of the published method, which gives no results for this model.
Command: ``bash tools/dist_train.sh configs/fastfcn/fastfcn_r50-d32_jpu_psp_4xb4-40k_wta-256x256.py 4``
"""

_base_ = [
    '../_base_/models/fastfcn_r50-d32_jpu_psp_wta.py',
    '../_base_/datasets/wta_256.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]

model = dict(data_preprocessor=dict(size=(256, 256)))
