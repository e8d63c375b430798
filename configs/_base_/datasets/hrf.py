# HRF, crops of 256 x 256.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'HRFDataset',
        'data/HRF',
        train=('images/training', 'annotations/training'),
        val=('images/validation', 'annotations/validation'),
        scale=(2336, 3504),
        crop_size=(256, 256),
        repeat=40000,
        metric='mDice',
    )
)
