"""Plain cross entropy, the reference that every remedy for class imbalance is measured against."""

cross_entropy_loss = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)
