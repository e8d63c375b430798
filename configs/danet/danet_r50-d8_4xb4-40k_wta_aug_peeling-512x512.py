"""DANet on original and peeling-edited images.

Reproduces: the published final results, row DANet / w/ Augmented
(attached IoU 50.41, Acc 76.18; broken IoU 27.09, Acc 42.19; mIoU 38.75, mAcc 59.185).
Command: ``bash tools/dist_train.sh configs/danet/danet_r50-d8_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/danet_r50-d8_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
