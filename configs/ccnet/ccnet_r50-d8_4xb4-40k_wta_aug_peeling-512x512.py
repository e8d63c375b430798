"""CCNet on original and peeling-edited images.

Reproduces: the published final results, row CCNet / w/ Augmented
(attached IoU 41.63, Acc 73.84; broken IoU 27.07, Acc 44.25; mIoU 34.35, mAcc 59.045).
Command: ``bash tools/dist_train.sh configs/ccnet/ccnet_r50-d8_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/ccnet_r50-d8_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
