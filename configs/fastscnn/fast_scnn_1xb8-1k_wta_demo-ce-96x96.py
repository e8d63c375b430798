"""``make demo``: Fast-SCNN with CrossEntropyLoss, otherwise as its FocalLoss twin."""

_base_ = ['./fast_scnn_1xb8-1k_wta_demo-96x96.py', '../_base_/losses/cross_entropy.py']

from mmseg.utils.loss_config import with_loss  # below _base_, see with_loss

model = with_loss(_base_.model, _base_.cross_entropy_loss)
