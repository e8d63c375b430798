"""UPerNet on original and peeling-edited images.

Reproduces: the published final results, row UPerNet / w/ Augmented
(attached IoU 54.1, Acc 70.51; broken IoU 35.96, Acc 73.55; mIoU 45.03, mAcc 72.03).
Command: ``bash tools/dist_train.sh configs/upernet/upernet_r50_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/upernet_r50_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
