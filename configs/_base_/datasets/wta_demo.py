"""The dataset that ``make demo`` renders, with a pipeline that trains in minutes on two CPU cores.

Small crops around defects of enlarged images: a single speckle is smaller than one of Fast-SCNN's output cells.
"""

_base_ = './wta_512.py'

data_root = 'data/wta_demo'
crop_size = (96, 96)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(512, 512), ratio_range=(1.0, 2.0), keep_ratio=True),
    dict(type='RareClassCrop', crop_size=crop_size, cat_max_ratio=0.75, prob=0.8),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(768, 768), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8, num_workers=1, dataset=dict(data_root=data_root, pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
