"""GCNet on the original images.

Reproduces: the published final results, row GCNet / Original
(attached IoU 41.87, Acc 53.23; broken IoU 26.24, Acc 59.66; mIoU 34.055, mAcc 56.445).
Command: ``bash tools/dist_train.sh configs/gcnet/gcnet_r50-d8_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/gcnet_r50-d8_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
