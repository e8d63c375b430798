"""Drawing of label maps, and recording of runs."""

from .local_visualizer import SegLocalVisualizer
from .wandb_backend import WandbVisBackend

__all__ = ['SegLocalVisualizer', 'WandbVisBackend']
