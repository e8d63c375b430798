"""CCNet on the original images.

Reproduces: the published final results, row CCNet / Original
(attached IoU 37.56, Acc 70.22; broken IoU 25.73, Acc 71.14; mIoU 31.645, mAcc 70.68).
Command: ``bash tools/dist_train.sh configs/ccnet/ccnet_r50-d8_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/ccnet_r50-d8_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
