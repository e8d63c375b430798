# Of a head on a frozen backbone: AdamW, 300 iterations with a warm-up over the first 15.
optimizer = dict(type='AdamW', lr=0.001, betas=(0.9, 0.999), weight_decay=0.01)
optim_wrapper = dict(type='OptimWrapper', optimizer=optimizer, clip_grad=None)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=15, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=15, end=300, by_epoch=False),
]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=300, val_interval=150)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=150, save_best='foreground_mIoU'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
)

# Features of the training images are computed once; docs/frozen_encoders.md.
custom_hooks = [dict(type='FeatureCacheHook', limit_gb=10.0)]
