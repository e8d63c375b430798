"""UPerNet on the original images.

Reproduces: the published final results, row UPerNet / Original
(attached IoU 34.44, Acc 38.77; broken IoU 36.01, Acc 73.1; mIoU 35.225, mAcc 55.935).
Command: ``bash tools/dist_train.sh configs/upernet/upernet_r50_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/upernet_r50_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
