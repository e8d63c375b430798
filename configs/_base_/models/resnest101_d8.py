"""ResNeSt-101 with output stride 8 (Zhang et al., 2020), a backbone for the models on a ResNet-50 of that stride."""

resnest_weights = 'open-mmlab://resnest101'
resnest = dict(
    type='ResNeSt',
    depth=101,
    stem_channels=128,
    radix=2,
    reduction_factor=4,
    avg_down_stride=True,
)
