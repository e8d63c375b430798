# ISPRS Potsdam, tiles of 512 x 512.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'PotsdamDataset',
        'data/potsdam',
        train=('img_dir/train', 'ann_dir/train'),
        val=('img_dir/val', 'ann_dir/val'),
        scale=(512, 512),
        crop_size=(512, 512),
    )
)
