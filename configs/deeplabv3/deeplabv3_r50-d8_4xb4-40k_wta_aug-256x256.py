"""DeepLabV3 on crops of original and peeling-edited images.

An experiment of the published method, which gives no results for this model.
Command: ``bash tools/dist_train.sh configs/deeplabv3/deeplabv3_r50-d8_4xb4-40k_wta_aug-256x256.py 4``
"""

_base_ = [
    '../_base_/models/deeplabv3_r50-d8_wta.py',
    '../_base_/datasets/wta_aug_256.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]

model = dict(data_preprocessor=dict(size=(256, 256)))
