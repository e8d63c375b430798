# Cityscapes, crops of 832 x 832.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'CityscapesDataset',
        'data/cityscapes/',
        train=('leftImg8bit/train', 'gtFine/train'),
        val=('leftImg8bit/val', 'gtFine/val'),
        scale=(2048, 1024),
        crop_size=(832, 832),
        batch_size=2,
        num_workers=2,
    )
)
