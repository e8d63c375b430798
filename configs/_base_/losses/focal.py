"""The published method's loss: one alpha per class (normal, attached, broken), gamma 2."""

focal_loss = dict(type='FocalLoss', use_sigmoid=False, gamma=2.0, alpha=[0.1, 0.3, 0.6], loss_weight=1.0)
