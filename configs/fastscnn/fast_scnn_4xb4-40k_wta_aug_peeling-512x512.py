"""Fast-SCNN on original and peeling-edited images.

Reproduces: the published final results, row Fast-SCNN / w/ Augmented
(attached IoU 36.94, Acc 78.25; broken IoU 23.58, Acc 38.80; mIoU 30.26, mAcc 58.525).
Command: ``bash tools/dist_train.sh configs/fastscnn/fast_scnn_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/fast_scnn_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
