"""BiSeNet on crops of original and peeling-edited images.

An experiment of the published method, which gives no results for this model.
Command: ``bash tools/dist_train.sh configs/bisenetv1/bisenetv1_r18-d32_4xb4-40k_wta_aug-256x256.py 4``
"""

_base_ = [
    '../_base_/models/bisenetv1_r18-d32_wta.py',
    '../_base_/datasets/wta_aug_256.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]

model = dict(data_preprocessor=dict(size=(256, 256)))
