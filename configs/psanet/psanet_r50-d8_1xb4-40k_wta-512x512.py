"""PSANet on the original images; not one of the published experiments.

Command: ``wta-seg train configs/psanet/psanet_r50-d8_1xb4-40k_wta-512x512.py``
"""

_base_ = [
    '../_base_/models/psanet_r50-d8_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
