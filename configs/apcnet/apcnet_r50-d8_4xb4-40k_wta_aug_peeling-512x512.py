"""APCNet on original and peeling-edited images.

Reproduces: the published final results, row APCNet / w/ Augmented
(attached IoU 48.39, Acc 63.59; broken IoU 28.2, Acc 61.43; mIoU 38.295, mAcc 62.51).
Command: ``bash tools/dist_train.sh configs/apcnet/apcnet_r50-d8_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/apcnet_r50-d8_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
