# Pascal Context, 59 classes, crops of 480 x 480.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'PascalContextDataset59',
        'data/VOCdevkit/VOC2010/',
        train=('JPEGImages', 'SegmentationClassContext', 'ImageSets/SegmentationContext/train.txt'),
        val=('JPEGImages', 'SegmentationClassContext', 'ImageSets/SegmentationContext/val.txt'),
        scale=(520, 520),
        crop_size=(480, 480),
    )
)
