# Mapillary Vistas 1.2, crops of 512 x 1024.
_base_ = []

from mmseg.utils.public_config import dataset_variables

globals().update(
    dataset_variables(
        'MapillaryDataset_v1',
        'data/mapillary/',
        train=('training/images', 'training/v1.2/labels'),
        val=('validation/images', 'validation/v1.2/labels'),
        scale=(2048, 1024),
        crop_size=(512, 1024),
        batch_size=2,
    )
)
