"""The judge of the demo model's edits: Fast-SCNN with FocalLoss on rendered defects of all styles.

Reproduces no published figure. Defects are enlarged, as they are in the crops that are edited: a speck is smaller
than one of Fast-SCNN's output cells. Commands: those of augment/demo_model/README.md that render the data, then
``python tools/train.py configs/fastscnn/fast_scnn_1xb16-3k_wta_demo_styles-256x256.py``
"""

_base_ = [
    '../_base_/models/fast_scnn_wta.py',
    '../_base_/datasets/wta_demo.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]

data_root = 'data/demo_model'
crop_size = (256, 256)
model = dict(data_preprocessor=dict(size=crop_size))
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(ratio_range=(1.0, 3.0))
train_pipeline[3].update(crop_size=crop_size)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=(1024, 1024))
train_dataloader = dict(
    batch_size=16, num_workers=12, dataset=dict(data_root=data_root, pipeline=train_pipeline)
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
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=200, by_epoch=False),
    dict(type='PolyLR', eta_min=1e-5, power=0.9, begin=200, end=3000, by_epoch=False),
]
train_cfg = dict(max_iters=3000, val_interval=3000)
default_hooks = dict(checkpoint=dict(interval=1000))
