"""MobileNetV3 on original and peeling-edited images.

Reproduces: the published final results, row MobileNetV3 / w/ Augmented
(attached IoU 51.58, Acc 68.45; broken IoU 39.07, Acc 71.08; mIoU 45.325, mAcc 69.765).
Command: ``bash tools/dist_train.sh configs/mobilenet_v3/mobilenet-v3-d8_lraspp_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/lraspp_m-v3-d8_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
