"""Pack a results dict into the model's input."""

import cv2
import numpy as np
import torch
from mmcv.transforms.base import BaseTransform
from mmengine.structures import PixelData

from mmseg.registry import TRANSFORMS
from mmseg.structures import SegDataSample


@TRANSFORMS.register_module()
class PackSegInputs(BaseTransform):
    """Pack the image to ``inputs`` (C, H, W) and the labels to a ``SegDataSample``.

    The image keeps its dtype. ``gt_seg_map`` becomes ``gt_sem_seg`` with ``data`` (1, H, W) int64,
    ``gt_edge_map`` likewise, ``gt_depth_map`` keeps its dtype.

    Args:
        meta_keys: Keys of the results that are stored in the sample's meta information, where present.

    Raises:
        ValueError: The label map is not (H, W).
    """

    def __init__(
        self,
        meta_keys=(
            'img_path',
            'seg_map_path',
            'ori_shape',
            'img_shape',
            'pad_shape',
            'scale_factor',
            'flip',
            'flip_direction',
            'reduce_zero_label',
        ),
    ) -> None:
        self.meta_keys = meta_keys

    def transform(self, results: dict) -> dict:
        """Return ``dict(inputs=Tensor, data_samples=SegDataSample)``."""
        packed = {}
        if 'img' in results:
            packed['inputs'] = torch.from_numpy(_channels_first(results['img']))
        sample = SegDataSample()
        if 'gt_seg_map' in results:
            labels = results['gt_seg_map']
            if labels.ndim != 2:
                raise ValueError(
                    f'gt_seg_map of {results.get("seg_map_path")} has shape {labels.shape}, expected (H, W) with '
                    'one class id per pixel. Convert colours to ids with tools/dataset_tools/convert_labels.py.'
                )
            sample.gt_sem_seg = _pixel_data(labels, np.int64)
        if 'gt_edge_map' in results:
            sample.set_data(dict(gt_edge_map=_pixel_data(results['gt_edge_map'], np.int64)))
        if 'gt_depth_map' in results:
            depth = results['gt_depth_map']
            sample.set_data(dict(gt_depth_map=_pixel_data(depth, depth.dtype)))
        sample.set_metainfo({key: results[key] for key in self.meta_keys if key in results})
        packed['data_samples'] = sample
        return packed

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'


def _pixel_data(array: np.ndarray, dtype) -> PixelData:
    return PixelData(data=torch.from_numpy(array[None].astype(dtype)))


def _channels_first(img: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, C) -> contiguous (C, H, W), never sharing memory with ``img``."""
    if img.ndim < 3:
        return img[None].copy()
    if img.dtype in (np.uint8, np.float32) and img.shape[2] == 3:
        # cv2.split uses vector instructions and is five times as fast as a strided copy
        out = np.empty((3, *img.shape[:2]), img.dtype)
        cv2.split(img, list(out))
        return out
    return img.transpose(2, 0, 1).copy()
