"""Semantic segmentation of rare defects, with the interface of mmsegmentation 1.2.2."""

from .version import UPSTREAM_INTERFACE, __version__

__all__ = ['UPSTREAM_INTERFACE', '__version__']
