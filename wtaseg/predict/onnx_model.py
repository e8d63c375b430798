"""Prediction with an exported ONNX file, without PyTorch's part of the model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmseg.apis.onnx_metadata import parse
from mmseg.evaluation.inspection import read_operating_point
from mmseg.visualization.display import to_display
from wtaseg.palette import class_colors
from wtaseg.predict.predictor import LoadedImage, Predictor
from wtaseg.predict.windows import Windows

NEEDED = ('channel_order', 'mean', 'std', 'size', 'sides', 'classes', 'palette')


class OnnxPredictor(Predictor):
    """A file that ``wta-seg export`` wrote; preprocessing, classes and sizes are in its metadata.

    Images are resized as in the test of the experiment and predicted whole where the file takes their size. A file
    of one size takes images resized to it.

    Args:
        path: the ONNX file.
        device: cpu or cuda; None: cuda if onnxruntime supports it.
        windows: predict in these, at the scale of the image.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: onnxruntime is not installed, or the file is no export of this project.
    """

    def __init__(self, path: Path, device: str | None = None, windows: Windows | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ValueError(f'{path}: needs onnxruntime; pip install "wta-seg[deploy]"') from error
        if not path.is_file():
            raise FileNotFoundError(f'{path}: no such file, expected a model that wta-seg export wrote')
        available = onnxruntime.get_available_providers()
        if str(device).startswith('cuda') and 'CUDAExecutionProvider' not in available:
            raise ValueError(f'--device: {device}; this onnxruntime has no CUDA, expected cpu')
        providers = [name for name in ('CUDAExecutionProvider', 'CPUExecutionProvider') if name in available]
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=['CPUExecutionProvider'] if device == 'cpu' else providers
            )
        except Exception as error:  # onnxruntime has no common class of its errors
            raise ValueError(
                f'{path}: onnxruntime can not read it ({str(error).splitlines()[0]}); export it again'
            ) from error
        # a plain script for computers without this project; here, so that both predict the same
        from wtaseg.predict import infer

        self._infer = infer
        try:
            metadata = self._session.get_modelmeta().custom_metadata_map
        except UnicodeDecodeError as error:
            raise ValueError(f'{path}: its metadata is no text ({error}); export it again') from error
        if missing := [key for key in NEEDED if key not in metadata]:
            raise ValueError(
                f'{path}: no {missing[0]} in its metadata; expected a file that wta-seg export wrote'
            )
        try:
            self._meta = parse(metadata)
            self._size, self._sides = tuple(self._meta['size']), self._meta['sides']
            self.classes = tuple(self._meta['classes'])
            self.palette = class_colors(len(self.classes), self._meta['palette'])
            self.operating_point = read_operating_point(metadata)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            reason = ' '.join(str(error).split())[:200]
            raise ValueError(f'{path}: its metadata can not be used ({reason}); export it again') from error
        self._windows = windows
        if windows is not None and not self._accepts((windows.side, windows.side)):
            raise ValueError(f'--window: {windows.side}; {path} takes {self._extent()}')

    def _accepts(self, size: tuple[int, int]) -> bool:
        if self._sides is None:
            return size == self._size
        return self._sides[0] <= min(size) and max(size) <= self._sides[1]

    def _extent(self) -> str:
        if self._sides is None:
            return f'{self._size[0]} x {self._size[1]} only'
        return f'sides from {self._sides[0]} to {self._sides[1]}'

    def load(self, image: str | Path | np.ndarray) -> LoadedImage:
        """See :meth:`Predictor.load`."""
        from mmseg.datasets.transforms.loading import LoadImageFromFile

        if isinstance(image, np.ndarray):
            pixels = image
        else:
            pixels = LoadImageFromFile(cache_mb=0)(dict(img_path=str(image)))['img']
        colors = to_display(pixels)
        size = self._input_size(colors.shape[:2])
        return LoadedImage(pixels, self._infer.prepare(colors, size, self._meta), size)

    def _input_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width that an image is predicted at."""
        if self._windows is None:
            return self._infer.input_size(size, self._meta)
        # a window has to fit in
        return tuple(max(side, self._windows.side) for side in size) if self._sides is None else size

    def probabilities(self, images: Sequence[LoadedImage]) -> list[tuple[np.ndarray, np.ndarray]]:
        """See :meth:`Predictor.probabilities`."""
        batch = np.stack([image.inputs for image in images])
        logits = self.run(batch) if self._windows is None else self._slide(batch)
        point = self.rule.point and self.rule.point.to_dict()
        return [
            self._infer.decide(scores, image.pixels.shape[:2], point) for image, scores in zip(images, logits)
        ]

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Logits (N, C, height, width) of images (N, 3, height, width) as :meth:`load` prepares them."""
        return self._session.run(['logits'], {'images': batch})[0]

    def _slide(self, batch: np.ndarray) -> np.ndarray:
        """Mean of the logits of overlapping windows."""
        total, count = None, np.zeros(batch.shape[2:], np.float32)
        side = self._windows.side
        for top in self._windows.starts(batch.shape[2]):
            for left in self._windows.starts(batch.shape[3]):
                place = slice(top, top + side), slice(left, left + side)
                logits = self.run(np.ascontiguousarray(batch[:, :, place[0], place[1]]))
                if total is None:
                    total = np.zeros((len(batch), logits.shape[1], *batch.shape[2:]), np.float32)
                total[:, :, place[0], place[1]] += logits
                count[place] += 1
        return total / count
