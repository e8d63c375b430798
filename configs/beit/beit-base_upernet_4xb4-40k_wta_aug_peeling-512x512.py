"""BEiT on original and peeling-edited images.

Reproduces: the published final results, row BEiT / w/ Augmented
(attached IoU 34.59, Acc 58.28; broken IoU 19.55, Acc 26.85; mIoU 27.07, mAcc 42.565).
Trained like all others, with AdamW 1e-3 and no layer decay; drop path 0.1 is that of OpenMMLab's config
beit-base_upernet. For fine-tuning as in the paper see LearningRateDecayOptimizerConstructor.
Command: ``bash tools/dist_train.sh configs/beit/beit-base_upernet_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/upernet_beit_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
