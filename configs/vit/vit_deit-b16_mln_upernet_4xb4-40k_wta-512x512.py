"""ViT on the original images.

Reproduces: the published final results, row ViT / Original
(attached IoU 30.59, Acc 34.31; broken IoU 19, Acc 31.44; mIoU 24.795, mAcc 32.875).
Trained like all others, with AdamW 1e-3 and no layer decay; drop path 0.1 is DeiT's, as in OpenMMLab's config
vit_deit-b16_mln_upernet.
Command: ``bash tools/dist_train.sh configs/vit/vit_deit-b16_mln_upernet_4xb4-40k_wta-512x512.py 4``
"""

_base_ = [
    '../_base_/models/upernet_vit-b16_ln_mln_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
