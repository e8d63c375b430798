"""Asymmetric unified focal loss (Yeung et al. 2022) with the paper's parameters."""

unified_focal_loss = dict(type='UnifiedFocalLoss', weight=0.5, delta=0.6, gamma=0.5, loss_weight=1.0)
