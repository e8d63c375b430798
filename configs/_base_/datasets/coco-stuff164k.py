# COCO-Stuff 164k, crops of 512 x 512.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'COCOStuffDataset',
        'data/coco_stuff164k',
        train=('images/train2017', 'annotations/train2017'),
        val=('images/val2017', 'annotations/val2017'),
        scale=(2048, 512),
        crop_size=(512, 512),
    )
)
