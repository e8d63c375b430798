# BDD100K, crops of 512 x 1024.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'BDD100KDataset',
        'data/bdd100k/',
        train=('images/10k/train', 'labels/sem_seg/masks/train'),
        val=('images/10k/val', 'labels/sem_seg/masks/val'),
        scale=(2048, 1024),
        crop_size=(512, 1024),
        batch_size=2,
        num_workers=2,
    )
)
