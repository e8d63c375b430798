"""Inference for programs and notebooks."""

from .inference import inference_model, init_model, show_result_pyplot
from .mmseg_inferencer import MMSegInferencer

__all__ = ['MMSegInferencer', 'inference_model', 'init_model', 'show_result_pyplot']
