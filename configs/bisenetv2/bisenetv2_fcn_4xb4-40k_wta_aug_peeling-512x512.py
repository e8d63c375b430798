"""BiSeNetV2 on original and peeling-edited images.

Reproduces: the published final results, row BiSeNetV2 / w/ Augmented
(attached IoU 42.12, Acc 53.14; broken IoU 26.35, Acc 55.56; mIoU 34.235, mAcc 54.35).
Command: ``bash tools/dist_train.sh configs/bisenetv2/bisenetv2_fcn_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/bisenetv2_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
