"""A segmenter that says whether an edited defect is still a defect (``--judge``).

It is an ONNX file as ``wta-seg export`` writes it: ``images`` ``(N, 3, H, W)`` float32 to ``logits``
``(N, classes, H, W)``, with channel order, mean, std, classes and sizes as JSON in the metadata. Class ids are those of
the labels; 0 is the normal surface.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from augment import shipped
from augment.dataset.components import Component
from augment.dataset.reading import NORMAL

NONE = 'none'
REMEDY = 'give an ONNX file made by `wta-seg export CONFIG CHECKPOINT`, or --judge none'
METADATA = ('channel_order', 'mean', 'std', 'classes', 'sides', 'size')

FOUND_SHARE = 0.5
"""Share of a component's pixels that must be predicted as a defect, or touch such a pixel, for it to be found."""


@dataclass(frozen=True)
class Verdict:
    """Class ids ``(H, W)`` uint8, below ``classes``, that the segmenter predicts for an image before and after its edit."""

    before: np.ndarray
    after: np.ndarray
    classes: int

    def cut(self, box: tuple[int, int, int, int]) -> 'Verdict':
        """The part inside ``box`` (left, top, right, bottom)."""
        left, top, right, bottom = box
        before, after = (image[top:bottom, left:right] for image in (self.before, self.after))
        return Verdict(before, after, self.classes)

    def figures(self, component: Component) -> dict[str, float | bool]:
        """The judge's fields of a ``ComponentRecord``; no ``judge_class`` for a class that the segmenter lacks."""
        predicted = self.after[component.inside]
        figures: dict[str, float | bool] = {
            'judge_defect': float((predicted != NORMAL).mean()),
            'judge_found': found(self.after, component),
            'judge_found_before': found(self.before, component),
        }
        if component.class_id < self.classes:
            figures['judge_class'] = float((predicted == component.class_id).mean())
        return figures


def found(predicted: np.ndarray, component: Component) -> bool:
    """Whether ``component`` is found in the predicted class ids ``(H, W)``."""
    near = cv2.dilate((predicted != NORMAL).astype(np.uint8), np.ones((3, 3), np.uint8))
    return bool(near[component.inside].mean() >= FOUND_SHARE)


class Judge:
    """A segmenter on the CPU.

    Attributes:
        path: The ONNX file.
        sha256: Of its content.
        classes: Names of the classes, by id.
    """

    def __init__(self, path: Path) -> None:
        """Read and check ``path``.

        Raises:
            FileNotFoundError, ValueError: The file is missing, no ONNX file, or not written by ``wta-seg export``, or
                onnxruntime is not installed.
        """
        self.path = path
        if not path.is_file():
            raise FileNotFoundError(f'judge: {path} does not exist; {REMEDY}')
        self.session = open_session(path)
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        facts = read_metadata(path, self.session.get_modelmeta().custom_metadata_map)
        self.classes: list[str] = facts['classes']
        self.reversed_channels = facts['channel_order'] == 'BGR'
        self.mean = np.array(facts['mean'] or [0.0], np.float32)
        self.std = np.array(facts['std'] or [1.0], np.float32)
        self.sides, self.size, self.resize = facts['sides'], tuple(facts['size']), facts['resize']

    def compare(self, source: np.ndarray, edited: np.ndarray) -> Verdict:
        """The verdict on an edit of ``source``, both ``(H, W, 3)`` uint8 RGB."""
        return Verdict(self.predict(source), self.predict(edited), len(self.classes))

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Class ids ``(H, W)`` uint8 for an image ``(H, W, 3)`` uint8 RGB.

        An image of a size that the file does not take is resized to the nearest that it takes, and the logits back.
        """
        height, width = image.shape[:2]
        size = self.accepted_size(height, width)
        pixels = image[..., ::-1] if self.reversed_channels else image
        resized = resize_bilinear(pixels.astype(np.float32), size)
        normalised = (resized - self.mean) / self.std
        (logits,) = self.session.run(['logits'], {'images': normalised.transpose(2, 0, 1)[None]})
        scores = resize_bilinear(logits[0].transpose(1, 2, 0), (height, width))
        return scores.argmax(-1).astype(np.uint8)

    def accepted_size(self, height: int, width: int) -> tuple[int, int]:
        """The size to which the test of the segmenter resizes such an image, or the nearest that the file takes."""
        if self.sides is None:
            return self.size
        if self.resize is not None:
            scale = min(max(self.resize) / max(height, width), min(self.resize) / min(height, width))
            height, width = (int(side * scale + 0.5) for side in (height, width))
        low, high = self.sides
        return min(max(height, low), high), min(max(width, low), high)


def load_judge(name: str) -> Judge | None:
    """The judge of ``--judge``: a path, ``demo``, or None for ``none``; raises as ``Judge`` does."""
    if name == NONE:
        return None
    return Judge(shipped.segmenter() if name == shipped.DEMO else Path(name))


def open_session(path: Path) -> Any:
    """An onnxruntime session on the CPU with as many threads as PyTorch uses."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError(
            f'judge: {path} needs onnxruntime ({error}); install it with: pip install "wta-seg[deploy]"'
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    except Exception as error:  # onnxruntime's errors have no common base but Exception
        text = ' '.join(str(error).split())[:200]
        raise ValueError(f'judge: {path} cannot be read as ONNX ({text}); {REMEDY}') from error


def read_metadata(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """The facts that ``wta-seg export`` writes; ``ValueError`` naming what is missing or unusable."""
    missing = [name for name in METADATA if name not in metadata]
    if missing:
        raise ValueError(f'judge: {path} has no {", ".join(missing)} in its metadata; {REMEDY}')
    facts: dict[str, Any] = {name: metadata[name] for name in METADATA} | {
        'resize': metadata.get('resize', 'null')
    }
    for name in (*METADATA[1:], 'resize'):
        try:
            facts[name] = json.loads(facts[name])
        except json.JSONDecodeError as error:
            raise ValueError(
                f'judge: {path}: {name} in its metadata is no JSON ({error}); {REMEDY}'
            ) from error
    if not isinstance(facts['classes'], list) or len(facts['classes']) < 2:
        raise ValueError(
            f'judge: {path} has the classes {facts["classes"]!r}; expected the normal surface and at least one defect'
        )
    return facts


def resize_bilinear(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``(h, w, C)`` float32 at ``size = (H, W)``; the same array when it has that size."""
    if pixels.shape[:2] == size:
        return pixels
    return cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
