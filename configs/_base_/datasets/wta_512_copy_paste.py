# wta_512 with copy-paste: half of the training images get defects of others pasted into them.
_base_ = './wta_512.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MultiImageMixDataset',
        dataset=dict(_base_.train_dataloader.dataset, pipeline=_base_.train_pipeline[:2]),
        pipeline=[dict(type='CopyPasteDefects', prob=0.5), *_base_.train_pipeline[2:]],
    )
)
