"""BEiT on the original images.

Reproduces: the published final results, row BEiT / Original
(attached IoU 29, Acc 41.35; broken IoU 18.76, Acc 29.21; mIoU 23.88, mAcc 35.28).
Trained like all others, with AdamW 1e-3 and no layer decay; drop path 0.1 is that of OpenMMLab's config
beit-base_upernet. For fine-tuning as in the paper see LearningRateDecayOptimizerConstructor.
Command: ``bash tools/dist_train.sh configs/beit/beit-base_upernet_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/upernet_beit_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
