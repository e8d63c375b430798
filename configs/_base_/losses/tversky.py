"""Tversky loss, which weighs false negatives (0.7) above false positives (0.3)."""

tversky_loss = dict(type='TverskyLoss', alpha=0.3, beta=0.7, loss_weight=1.0)
