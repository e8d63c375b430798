"""Sum of Dice loss and cross entropy."""

_base_ = ['./dice.py', './cross_entropy.py']

dice_and_cross_entropy_loss = [_base_.dice_loss, _base_.cross_entropy_loss]
