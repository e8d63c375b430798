# ADE20K, crops of 512 x 512.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'ADE20KDataset',
        'data/ade/ADEChallengeData2016',
        train=('images/training', 'annotations/training'),
        val=('images/validation', 'annotations/validation'),
        scale=(2048, 512),
        crop_size=(512, 512),
    )
)
