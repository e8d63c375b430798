# The images of wta_512, trained on in crops of 256 x 256.
_base_ = './wta_512.py'
crop_size = (256, 256)

train_pipeline = [
    {**step, 'crop_size': crop_size} if step['type'] == 'RandomCrop' else step
    for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
