# 40,000 iterations of a learning rate schedule that is 160,000 long: training ends at a rate of 0.8e-3.
_base_ = './schedule_40k.py'

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=1000, by_epoch=False),
    dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=1000, end=160000, by_epoch=False),
]
