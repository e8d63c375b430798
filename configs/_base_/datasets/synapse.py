# Synapse multi-organ CT, slices of 224 x 224.
_base_ = []

from mmseg.utils.public_config import dataset_variables

img_scale = (224, 224)
globals().update(
    dataset_variables(
        'SynapseDataset',
        'data/synapse/',
        train=('img_dir/train', 'ann_dir/train'),
        val=('img_dir/val', 'ann_dir/val'),
        scale=img_scale,
        crop_size=img_scale,
        batch_size=6,
        num_workers=2,
        metric='mDice',
    )
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', scale=img_scale, keep_ratio=True),
    dict(type='RandomRotFlip', rotate_prob=0.5, flip_prob=0.5, degree=20),
    dict(type='PackSegInputs'),
]
train_dataloader['dataset']['pipeline'] = train_pipeline
