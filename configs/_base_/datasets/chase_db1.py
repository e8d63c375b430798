# CHASE_DB1, crops of 128 x 128.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'ChaseDB1Dataset',
        'data/CHASE_DB1',
        train=('images/training', 'annotations/training'),
        val=('images/validation', 'annotations/validation'),
        scale=(960, 999),
        crop_size=(128, 128),
        repeat=40000,
        metric='mDice',
    )
)
