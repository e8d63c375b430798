# wta_512 with copy-paste: defects of other training images are pasted into half of the images.
_base_ = './wta_512.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MultiImageMixDataset',
        dataset=dict(_base_.train_dataloader.dataset, pipeline=_base_.train_pipeline[:2]),
        pipeline=[dict(type='CopyPasteDefects', prob=0.5), *_base_.train_pipeline[2:]],
    )
)
