"""Small tools around configs, datasets, logs, predictions and checkpoints, as mmsegmentation has them."""
