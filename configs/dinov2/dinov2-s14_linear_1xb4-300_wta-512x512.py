"""A linear head on a frozen DINOv2 ViT-S/14, trained on whole images with cached features; not one of the published experiments.

Command: ``wta-seg train configs/dinov2/dinov2-s14_linear_1xb4-300_wta-512x512.py``
"""

_base_ = [
    '../_base_/models/linear_dinov2-s14_wta.py',
    '../_base_/datasets/wta_512_whole.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_300_frozen.py',
]
