"""BiSeNetV2 on the original images.

Reproduces: the published final results, row BiSeNetV2 / Original
(attached IoU 25.31, Acc 27.72; broken IoU 25.82, Acc 56.4; mIoU 25.565, mAcc 42.06).
Command: ``bash tools/dist_train.sh configs/bisenetv2/bisenetv2_fcn_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/bisenetv2_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
