# VOC 2012, crops of 512 x 512.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'PascalVOCDataset',
        'data/VOCdevkit/VOC2012',
        train=('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation/train.txt'),
        val=('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation/val.txt'),
        scale=(2048, 512),
        crop_size=(512, 512),
    )
)
