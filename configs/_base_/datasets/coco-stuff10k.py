# COCO-Stuff 10k, crops of 512 x 512; label 0 is ignored.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'COCOStuffDataset',
        'data/coco_stuff10k',
        train=('images/train2014', 'annotations/train2014'),
        val=('images/test2014', 'annotations/test2014'),
        scale=(2048, 512),
        crop_size=(512, 512),
        reduce_zero_label=True,
    )
)
