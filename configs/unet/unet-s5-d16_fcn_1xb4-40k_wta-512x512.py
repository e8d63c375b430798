"""U-Net with an FCN head on the original images; not one of the published experiments.

Command: ``wta-seg train configs/unet/unet-s5-d16_fcn_1xb4-40k_wta-512x512.py``
"""

_base_ = [
    '../_base_/models/fcn_unet_s5-d16_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
