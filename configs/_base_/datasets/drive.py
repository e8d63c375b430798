# DRIVE, crops of 64 x 64.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'DRIVEDataset',
        'data/DRIVE',
        train=('images/training', 'annotations/training'),
        val=('images/validation', 'annotations/validation'),
        scale=(584, 565),
        crop_size=(64, 64),
        repeat=40000,
        metric='mDice',
    )
)
