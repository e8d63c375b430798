"""What an exported ONNX file says about itself, in its metadata."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from torch.export import Dim

from mmseg.apis.inference import pipeline_of_test
from mmseg.evaluation.inspection.operating_point import KEY, OperatingPoint
from mmseg.models.segmentors import BaseSegmentor

#: Entries that are no JSON.
TEXTS = ('channel_order',)


@dataclass(frozen=True)
class Sides:
    """The range of height and width that an exported file accepts, in pixels."""

    low: int
    high: int

    def dims(self) -> dict:
        """The open dimensions of the images, for ``torch.export``."""
        return {2: Dim('height', min=self.low, max=self.high), 3: Dim('width', min=self.low, max=self.high)}


def describe(
    model: BaseSegmentor, sides: Sides | None, size: tuple[int, int], point: OperatingPoint | None = None
) -> dict[str, str]:
    """The metadata of an exported model: preprocessing, classes, sizes and the operating point; JSON but for texts.

    Args:
        model: that is exported.
        sides: range of height and width; None: ``size`` only.
        size: (height, width) it was traced with.
        point: its operating point.
    """
    preprocessor = model.cfg.model.get('data_preprocessor') or {}
    bgr_to_rgb = bool(preprocessor.get('bgr_to_rgb') or preprocessor.get('rgb_to_bgr'))
    metadata = dict(
        channel_order='RGB' if bgr_to_rgb else 'BGR',
        mean=preprocessor.get('mean'),
        std=preprocessor.get('std'),
        classes=model.dataset_meta.get('classes'),
        palette=model.dataset_meta.get('palette'),
        sides=[sides.low, sides.high] if sides else None,
        size=list(size),
        resize=_test_resize(model),
    )
    if point is not None:
        metadata[KEY] = point.to_dict()
    return {key: value if key in TEXTS else json.dumps(value) for key, value in metadata.items()}


def parse(metadata: Mapping[str, str]) -> dict:
    """The values of a file's metadata that :func:`describe` wrote.

    Raises:
        ValueError: a text is no JSON.
    """
    return {key: text if key in TEXTS else json.loads(text) for key, text in metadata.items()}


def _test_resize(model: BaseSegmentor) -> list[int] | None:
    """The scale (longer side, shorter side) to which the test pipeline resizes images, keeping their shape."""
    for step in pipeline_of_test(model.cfg):
        if str(step['type']).rpartition('.')[2] == 'Resize' and step.get('scale') and step.get('keep_ratio'):
            scale = step['scale']
            return [int(side) for side in scale] if isinstance(scale, (list, tuple)) else [int(scale)] * 2
    return None
