"""DeepLabV3+ on the re-labelled final set.

The published method's example of an experiment file; it gives no results for this model.
Command: ``bash tools/dist_train.sh configs/deeplabv3plus/deeplabv3plus_r50-d8_4xb4-40k_final_relabeled-512x512.py 4``
"""

_base_ = [
    '../_base_/models/deeplabv3plus_r50-d8_wta.py',
    '../_base_/datasets/final_relabeled_ori_aug_only_junhyung_re_val_re_test.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k_lr160k.py',
]
