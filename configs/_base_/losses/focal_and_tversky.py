"""Sum of the final method's focal loss and the Tversky loss."""

focal_and_tversky_loss = [
    dict(type='FocalLoss', use_sigmoid=False, gamma=2.0, alpha=[0.1, 0.3, 0.6], loss_weight=1.0),
    dict(type='TverskyLoss', alpha=0.3, beta=0.7, loss_weight=1.0),
]
