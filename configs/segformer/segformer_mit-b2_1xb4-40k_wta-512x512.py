"""SegFormer on MiT-B2 on the original images; not one of the published experiments.

Command: ``wta-seg train configs/segformer/segformer_mit-b2_1xb4-40k_wta-512x512.py``
"""

_base_ = [
    '../_base_/models/segformer_mit-b2_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
