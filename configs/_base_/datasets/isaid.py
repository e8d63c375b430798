# iSAID, tiles of 896 x 896.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'iSAIDDataset',
        'data/iSAID',
        train=('img_dir/train', 'ann_dir/train'),
        val=('img_dir/val', 'ann_dir/val'),
        scale=(896, 896),
        crop_size=(896, 896),
    )
)
