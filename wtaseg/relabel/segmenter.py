"""A segmenter that says how probable a defect is in each pixel of an edit."""

from pathlib import Path

import numpy as np

from augment.dataset.reading import NORMAL
from augment.files import sha256
from wtaseg.predict.load import find_model, load_predictor


class Segmenter:
    """A checkpoint or exported model, as ``wta-seg predict`` takes it.

    Args:
        model: file, folder of a training, or ``demo``.
        device: None: a GPU if there is one.

    Attributes:
        sha256: of the file.

    Raises:
        FileNotFoundError, ValueError: as :func:`wtaseg.predict.load.load_predictor`.
    """

    def __init__(self, model: str | Path, device: str | None = None) -> None:
        path = find_model(model)
        self.predictor = load_predictor(path, device=device, argmax=True)
        self.sha256 = sha256(path)

    def defect(self, image: str | Path | np.ndarray) -> np.ndarray:
        """Probability ``(H, W)`` float32 of any defect in an image file, or in an array ``(H, W, 3)`` in BGR order."""
        return 1 - self.predictor.predict(image).probabilities[NORMAL]
