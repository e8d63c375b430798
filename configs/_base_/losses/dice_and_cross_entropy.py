"""Sum of Dice loss and cross entropy."""

dice_and_cross_entropy_loss = [
    dict(type='DiceLoss', use_sigmoid=False, loss_weight=1.0),
    dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
]
