"""ANN on the original images.

Reproduces: the published final results, row ANN / Original
(attached IoU 42.04, Acc 55.72; broken IoU 25.45, Acc 63.62; mIoU 33.745, mAcc 59.67).
Command: ``bash tools/dist_train.sh configs/ann/ann_r50-d8_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/ann_r50-d8_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
