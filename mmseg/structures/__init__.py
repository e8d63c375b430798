"""Data passed between dataset, model, metric and visualizer."""

from .distortion import Distortion
from .sampler import BasePixelSampler, OHEMPixelSampler, build_pixel_sampler
from .seg_data_sample import SegDataSample

__all__ = ['BasePixelSampler', 'Distortion', 'OHEMPixelSampler', 'SegDataSample', 'build_pixel_sampler']
