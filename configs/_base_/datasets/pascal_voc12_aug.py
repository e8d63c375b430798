# VOC 2012 with the 10,582 training labels of Hariharan et al. (2011), crops of 512 x 512.
_base_ = './pascal_voc12.py'

crop_size = (512, 512)
train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='Pad', size=crop_size),
    dict(type='PackSegInputs'),
]
dataset_train = {**_base_.train_dataloader.dataset, 'pipeline': train_pipeline}
dataset_aug = {
    **dataset_train,
    'data_prefix': dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
    'ann_file': 'ImageSets/Segmentation/aug.txt',
}
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[dataset_train, dataset_aug])
)
