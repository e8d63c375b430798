"""PSPNet on original and peeling-edited images.

Reproduces: the published final results, row PSPNet / w/ Augmented
(attached IoU 45.25, Acc 64.96; broken IoU 27.56, Acc 59.57; mIoU 36.405, mAcc 62.265).
Command: ``bash tools/dist_train.sh configs/pspnet/pspnet_r50-d8_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/pspnet_r50-d8_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
