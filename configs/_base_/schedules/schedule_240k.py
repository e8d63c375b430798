# mmsegmentation's schedule of 240,000 iterations.
_base_ = './schedule_20k.py'

param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=240000, by_epoch=False)]
train_cfg = dict(max_iters=240000, val_interval=24000)
default_hooks = dict(checkpoint=dict(interval=24000))
