"""Plain cross entropy, the baseline for losses against class imbalance."""

cross_entropy_loss = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)
