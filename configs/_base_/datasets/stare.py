# STARE, crops of 128 x 128.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'STAREDataset',
        'data/STARE',
        train=('images/training', 'annotations/training'),
        val=('images/validation', 'annotations/validation'),
        scale=(605, 700),
        crop_size=(128, 128),
        repeat=40000,
        metric='mDice',
    )
)
