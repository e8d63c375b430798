"""APCNet on the original images.

Reproduces: the published final results, row APCNet / Original
(attached IoU 43.39, Acc 50.07; broken IoU 16.42, Acc 18.1; mIoU 29.905, mAcc 34.085).
Command: ``bash tools/dist_train.sh configs/apcnet/apcnet_r50-d8_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/apcnet_r50-d8_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
