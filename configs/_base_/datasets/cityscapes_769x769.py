# Cityscapes, crops of 769 x 769.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'CityscapesDataset',
        'data/cityscapes/',
        train=('leftImg8bit/train', 'gtFine/train'),
        val=('leftImg8bit/val', 'gtFine/val'),
        scale=(2049, 1025),
        crop_size=(769, 769),
        batch_size=2,
        num_workers=2,
    )
)
