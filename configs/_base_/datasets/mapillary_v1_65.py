# Mapillary Vistas 1.2 without the class "Unlabeled", crops of 512 x 1024.
_base_ = './mapillary_v1.py'

from mmseg.utils.public_datasets import public_datasets  # below _base_

_data = public_datasets()['MapillaryDataset_v1']
metainfo = dict(classes=_data.classes[:-1], palette=_data.palette[:-1])
train_dataloader = dict(dataset=dict(metainfo=metainfo))
val_dataloader = dict(dataset=dict(metainfo=metainfo))
test_dataloader = dict(dataset=dict(metainfo=metainfo))
