"""1000 iterations: schedule_40k.py, scaled."""

_base_ = './schedule_40k.py'

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=30, by_epoch=False),
    dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=30, end=1000, by_epoch=False),
]
train_cfg = dict(max_iters=1000, val_interval=125)
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=125))
