"""Fast-SCNN with CrossEntropyLoss in place of FocalLoss, on the original images.

Corresponds to: the published loss comparison (Table 2), row CrossEntropy Loss
(attached IoU 37.53, Acc 41.94; broken IoU 9.85, Acc 10.37; mIoU 23.69, mAcc 26.155; its model is not published).
Command: ``bash tools/dist_train.sh configs/fastscnn/fast_scnn_4xb4-40k_wta-ce-512x512.py 4``
"""

_base_ = ['./fast_scnn_4xb4-40k_wta-512x512.py', '../_base_/losses/cross_entropy.py']

from mmseg.utils.loss_config import with_loss  # below _base_, see with_loss

model = with_loss(_base_.model, _base_.cross_entropy_loss)
