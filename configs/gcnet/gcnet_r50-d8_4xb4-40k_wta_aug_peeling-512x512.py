"""GCNet on original and peeling-edited images.

Reproduces: the published final results, row GCNet / w/ Augmented
(attached IoU 49.97, Acc 67.26; broken IoU 27.58, Acc 63.6; mIoU 38.775, mAcc 65.43).
Command: ``bash tools/dist_train.sh configs/gcnet/gcnet_r50-d8_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/gcnet_r50-d8_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
