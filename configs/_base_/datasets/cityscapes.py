# Cityscapes, crops of 512 x 1024.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'CityscapesDataset',
        'data/cityscapes/',
        train=('leftImg8bit/train', 'gtFine/train'),
        val=('leftImg8bit/val', 'gtFine/val'),
        scale=(2048, 1024),
        crop_size=(512, 1024),
        batch_size=2,
        num_workers=2,
    )
)
