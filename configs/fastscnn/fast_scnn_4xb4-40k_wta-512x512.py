"""Fast-SCNN on the original images.

Reproduces: the published final results, row Fast-SCNN / Original
(attached IoU 30.04, Acc 34.39; broken IoU 22.21, Acc 37.02; mIoU 26.125, mAcc 35.705).
Command: ``bash tools/dist_train.sh configs/fastscnn/fast_scnn_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/fast_scnn_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
