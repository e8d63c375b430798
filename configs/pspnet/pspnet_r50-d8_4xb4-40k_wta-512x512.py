"""PSPNet on the original images.

Reproduces: the published final results, row PSPNet / Original
(attached IoU 37.85, Acc 45.16; broken IoU 27.19, Acc 56.49; mIoU 32.52, mAcc 50.825).
Command: ``bash tools/dist_train.sh configs/pspnet/pspnet_r50-d8_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/pspnet_r50-d8_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
