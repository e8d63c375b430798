"""Cross entropy with ENet's class weights 1 / ln(1.02 + f), f the share of the class in the training labels.

A hook computes the weights: ``custom_hooks = [dict(type='ClassWeightHook')]``.
"""

enet_cross_entropy_loss = dict(
    type='CrossEntropyLoss', use_sigmoid=False, class_weight='enet', loss_weight=1.0
)
