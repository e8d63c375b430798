# wta_512 with rare-class sampling: half of the training images are drawn by class, rare classes more often,
# and cropped around a pixel of that class.
_base_ = './wta_512.py'

train_pipeline = [
    dict(type='RareClassCrop', crop_size=(512, 512), cat_max_ratio=0.75)
    if step['type'] == 'RandomCrop'
    else step
    for step in _base_.train_pipeline
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='RareClassDataset',
        prob=0.5,
        temperature=0.01,
        dataset=dict(_base_.train_dataloader.dataset, pipeline=train_pipeline),
    )
)
