"""Feature extractors."""

from .fast_scnn import FastSCNN

__all__ = ['FastSCNN']
