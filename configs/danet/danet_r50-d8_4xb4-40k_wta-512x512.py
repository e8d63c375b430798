"""DANet on the original images.

Reproduces: the published final results, row DANet / Original
(attached IoU 46.89, Acc 71.99; broken IoU 26.38, Acc 65.79; mIoU 36.635, mAcc 68.89).
Command: ``bash tools/dist_train.sh configs/danet/danet_r50-d8_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/danet_r50-d8_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
