"""Dice loss over the softmax of all classes."""

dice_loss = dict(type='DiceLoss', use_sigmoid=False, loss_weight=1.0)
