"""MobileNetV3 on the original images.

Reproduces: the published final results, row MobileNetV3 / Original
(attached IoU 40.51, Acc 47.49; broken IoU 37, Acc 71.23; mIoU 38.755, mAcc 59.36).
Command: ``bash tools/dist_train.sh configs/mobilenet_v3/mobilenet-v3-d8_lraspp_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/lraspp_m-v3-d8_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
