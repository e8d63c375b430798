# ADE20K, crops of 640 x 640.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'ADE20KDataset',
        'data/ade/ADEChallengeData2016',
        train=('images/training', 'annotations/training'),
        val=('images/validation', 'annotations/validation'),
        scale=(2560, 640),
        crop_size=(640, 640),
    )
)
