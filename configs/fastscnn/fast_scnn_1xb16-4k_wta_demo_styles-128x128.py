"""The judge of the demo model's edits: Fast-SCNN with FocalLoss on rendered defects of all styles.

Reproduces no published figure. Images are enlarged three times: a speck is smaller than one of Fast-SCNN's output
cells. Windows are cut first and enlarged then, so that a CPU is enough. Commands: those of
augment/demo_model/README.md that render the data, then
``wta-seg train configs/fastscnn/fast_scnn_1xb16-4k_wta_demo_styles-128x128.py``
"""

_base_ = [
    '../_base_/models/fast_scnn_wta.py',
    '../_base_/datasets/wta_512.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]

data_root = 'data/demo_model'
crop_size = (128, 128)
model = dict(data_preprocessor=dict(size=crop_size))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RareClassCrop', crop_size=(50, 50), cat_max_ratio=1.0, prob=0.85),
    dict(type='RandomResize', scale=(150, 150), ratio_range=(0.9, 1.2), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1536, 1536), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=16, num_workers=4, dataset=dict(data_root=data_root, pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=4, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = dict(
    num_workers=4,
    dataset=dict(
        data_root=data_root,
        data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'),
        pipeline=test_pipeline,
    ),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', eta_min=1e-5, power=0.9, begin=50, end=4000, by_epoch=False),
]
train_cfg = dict(max_iters=4000, val_interval=4000)
default_hooks = dict(checkpoint=dict(interval=1000))
