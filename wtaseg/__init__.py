"""The application: from own images to a finished report, around `mmseg` and `augment`."""
