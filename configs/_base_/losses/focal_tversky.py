"""Focal Tversky loss (Abraham & Khan 2019): one loss, (1 - Tversky index) ^ (3/4)."""

focal_tversky_loss = dict(type='FocalTverskyLoss', alpha=0.3, beta=0.7, gamma=4 / 3, loss_weight=1.0)
