# REFUGE, crops of 512 x 512.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'REFUGEDataset',
        'data/REFUGE',
        train=('images/training', 'annotations/training'),
        val=('images/validation', 'annotations/validation'),
        test=('images/test', 'annotations/test'),
        scale=(2056, 2124),
        test_scale=(1634, 1634),
        crop_size=(512, 512),
        metric='mDice',
    )
)
