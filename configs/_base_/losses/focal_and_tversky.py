"""Sum of the published method's focal loss and the Tversky loss.

On top of a model that has the focal loss already: ``with_loss(_base_.model, [_base_.focal_loss, _base_.tversky_loss])``.
"""

_base_ = ['./focal.py', './tversky.py']

focal_and_tversky_loss = [_base_.focal_loss, _base_.tversky_loss]
