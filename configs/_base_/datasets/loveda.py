# LoveDA, crops of 512 x 512.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'LoveDADataset',
        'data/loveDA',
        train=('img_dir/train', 'ann_dir/train'),
        val=('img_dir/val', 'ann_dir/val'),
        scale=(2048, 512),
        test_scale=(1024, 1024),
        crop_size=(512, 512),
    )
)
