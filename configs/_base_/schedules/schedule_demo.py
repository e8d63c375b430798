"""800 iterations: schedule_40k.py with everything a fiftieth as long."""

_base_ = './schedule_40k.py'

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=20, by_epoch=False),
    dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=20, end=800, by_epoch=False),
]
train_cfg = dict(max_iters=800, val_interval=100)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=100))
