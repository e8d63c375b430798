"""From a folder of images and labels to a dataset and experiments: what ``wta-seg new`` and ``wta-seg split`` do.

``images`` finds the images, ``sources`` detects label formats, ``content`` makes and measures the label maps, ``split``
assigns images to splits, ``geometry`` chooses crops and windows, ``writing`` writes the dataset, ``configs`` its configs;
``new`` and ``resplit`` are the two commands.
"""
