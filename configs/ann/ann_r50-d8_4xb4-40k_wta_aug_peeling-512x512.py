"""ANN on original and peeling-edited images.

Reproduces: the published final results, row ANN / w/ Augmented
(attached IoU 48.78, Acc 67.65; broken IoU 25.53, Acc 62.87; mIoU 37.155, mAcc 65.26).
Command: ``bash tools/dist_train.sh configs/ann/ann_r50-d8_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/ann_r50-d8_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
