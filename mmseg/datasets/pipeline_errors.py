"""Run a pipeline on one item; errors name image and transform."""

import cv2
from mmengine.dataset import Compose

from mmseg.utils.config_errors import reason_of

# what transforms raise for settings and images that do not go together
_CAUSES = (ArithmeticError, AssertionError, LookupError, TypeError, cv2.error)


def run_pipeline(pipeline: Compose, data: dict) -> dict | None:
    """``pipeline(data)``; None where a transform gave the item up.

    Raises:
        ValueError: a transform failed; names image and transform.
    """
    path = data.get('img_path')
    for transform in pipeline.transforms:
        try:
            data = transform(data)
        except _CAUSES as error:
            raise ValueError(
                f'{path}: {type(transform).__name__} of the pipeline failed ({reason_of(error)}); change its settings, '
                'or replace the image'
            ) from error
        if data is None:
            return None
    return data
