"""Where the demo model is, and the settings that it is made for."""

from pathlib import Path
from typing import Any

DEMO = 'demo'
"""Stands for the shipped model in ``--model``, and for the segmenter beside it in ``--judge`` and ``wta-seg predict``."""
WEIGHTS = Path(__file__).parent / 'demo_model' / 'weights'
SEGMENTER = WEIGHTS / 'segmenter.onnx'

DEFAULTS: dict[str, Any] = {'resolution': 128, 'crop': 'defect', 'crop_min': 64, 'guidance': 15.0}
"""Fields of ``AugmentConfig`` whose defaults are others with ``--model demo``; README.md has the reasons."""


def with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """The given fields of an ``AugmentConfig``, and with ``model='demo'`` the model's defaults for those left out."""
    return DEFAULTS | values if values.get('model') == DEMO else values


def model_directory() -> Path:
    """The folder of the model.

    Raises:
        FileNotFoundError: This installation has none.
    """
    if not (WEIGHTS / 'model_index.json').is_file():
        raise FileNotFoundError(
            f"model 'demo': {WEIGHTS} holds no model, this installation has none; train it as "
            'augment/demo_model/README.md says and pass --model work_dirs/demo_model/weights, or use SDXL'
        )
    return WEIGHTS


def segmenter() -> Path:
    """The ONNX file of the segmenter.

    Raises:
        FileNotFoundError: This installation has none.
    """
    if not SEGMENTER.is_file():
        raise FileNotFoundError(
            f'{SEGMENTER} does not exist: this installation has no demo model; give a checkpoint, '
            'or an ONNX file made by `wta-seg export CONFIG CHECKPOINT`'
        )
    return SEGMENTER
