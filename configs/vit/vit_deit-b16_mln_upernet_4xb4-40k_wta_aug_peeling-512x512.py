"""ViT on original and peeling-edited images.

Reproduces: the published final results, row ViT / w/ Augmented
(attached IoU 33.68, Acc 39.68; broken IoU 19.4, Acc 30.38; mIoU 26.54, mAcc 35.03).
Trained like all others, with AdamW 1e-3 and no layer decay; drop path 0.1 is DeiT's, as in OpenMMLab's config
vit_deit-b16_mln_upernet.
Command: ``bash tools/dist_train.sh configs/vit/vit_deit-b16_mln_upernet_4xb4-40k_wta_aug_peeling-512x512.py 4``
"""

_base_ = [
    '../_base_/models/upernet_vit-b16_ln_mln_wta.py',
    '../_base_/datasets/wta_512_aug_peeling.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
