"""Load files or arrays into ``img`` and ``gt_seg_map``.

Label maps stay 8-bit up to ``PackSegInputs``, which makes the int64 tensor: every transform in between moves an
eighth of the memory.

Decoding takes half of a training pipeline's time, so the loaders of local files cache decoded files, see
:class:`.decoded_cache.DecodedCache`. Set ``cache_mb=0`` if memory is short.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
from mmcv.transforms import LoadAnnotations as MMCV_LoadAnnotations
from mmcv.transforms import LoadImageFromFile as MMCV_LoadImageFromFile
from mmcv.transforms.base import BaseTransform
from mmengine import fileio

from mmseg.datasets.image_files import decode_image, read_header, turn_upright
from mmseg.datasets.normal_images import NORMAL, draw_image, normal_label
from mmseg.registry import TRANSFORMS

from .decoded_cache import DecodedCache

_SHIFT_ZERO = np.concatenate([[255], np.arange(254), [255]]).astype(np.uint8)  # 0 and 255 are ignored


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCV_LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, which decodes a local file once or twice instead of in every epoch.

    With the default backend, cv2, images are turned upright and those of more than 8 bits are scaled to 8 by the
    rules of :mod:`mmseg.datasets.image_files`; ordinary images are mmcv's to the bit.

    Args:
        value_range: (low, high) that become 0 and 255 in images of more than 8 bits; None: the least and
            greatest value of each file.
        cache_mb: Bound of the decoded images that all workers of a loader cache together, in MiB; the default is
            1365 images of 512 x 512. Images on other file backends are never cached.
        **kwargs: mmcv's arguments.

    Raises:
        FileNotFoundError: The file is missing (unless ``ignore_empty``).
        ValueError: The file cannot be decoded (unless ``ignore_empty``).
    """

    def __init__(
        self, *args, cache_mb: int = 1024, value_range: Sequence[float] | None = None, **kwargs
    ) -> None:
        super().__init__(*args, **kwargs)
        if value_range is not None and (len(value_range) != 2 or value_range[0] >= value_range[1]):
            raise ValueError(
                f'LoadImageFromFile: value_range={value_range}, expected (low, high) with low < high.'
            )
        self.value_range = value_range
        self.cache = DecodedCache(cache_mb if self.backend_args is None else 0)

    def transform(self, results: dict) -> dict | None:
        """Add ``img`` (H, W, C), ``img_shape`` and ``ori_shape``."""
        draw_image(results)
        if self.file_client_args is not None:
            return super().transform(results)
        try:
            img = self.cache.read(results['img_path'], self._decode)
        except (OSError, ValueError):
            if self.ignore_empty:
                return None
            raise
        results.update(img=img, img_shape=img.shape[:2], ori_shape=img.shape[:2])
        return results

    def _decode(self, path: str) -> np.ndarray:
        if self.backend_args is None and Path(path).exists() and not Path(path).is_file():
            raise ValueError(f'image {path!r} is a folder or a pipe, expected an image file. Remove it.')
        content = fileio.get(path, backend_args=self.backend_args)
        try:
            if self.imdecode_backend == 'cv2':
                img = decode_image(content, self.color_type, self.value_range)
            else:
                img = mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)
        except Exception as error:  # each decoder has its own type; the message needs the file's name
            reason = getattr(error, 'err', None) or str(error)  # OpenCV's message names its source files
            raise ValueError(
                f'image {path!r} cannot be decoded: {" ".join(reason.split())}. Replace or remove the file.'
            ) from error
        if img is None:
            raise ValueError(
                f'image {path!r} cannot be decoded: the file is damaged or not an image. Replace it.'
            )
        return img.astype(np.float32) if self.to_float32 else img


@TRANSFORMS.register_module()
class LoadAnnotations(MMCV_LoadAnnotations):
    """Read an 8-bit label map, single-channel or palette, to ``gt_seg_map`` (H, W) uint8.

    First ``reduce_zero_label`` shifts the ids (0 becomes 255, k becomes k - 1, 255 stays), then
    ``results['label_map']`` re-numbers them. ``'gt_seg_map'`` is appended to ``results['seg_fields']``. A label map that
    fits only the image as stored, before its EXIF orientation is applied, is turned with it. Images that are known to
    be normal (``results['normal']``) are labelled 0 all over.

    Args:
        reduce_zero_label: None uses the dataset's setting; a value must agree with it.
        backend_args: File backend of mmengine, None for the local disk.
        imdecode_backend: ``'pillow'`` reads the indices of a palette PNG; ``'cv2'`` would read its colours.
        cache_mb: Bound of the decoded label maps that all workers of a loader cache together, in MiB.

    Raises:
        FileNotFoundError: The label file is missing.
        ValueError: The file is not a single-channel image with values up to 255, or
            ``reduce_zero_label`` disagrees with the dataset.
    """

    def __init__(
        self, reduce_zero_label=None, backend_args=None, imdecode_backend='pillow', cache_mb: int = 384
    ) -> None:
        super().__init__(
            with_bbox=False,
            with_label=False,
            with_seg=True,
            with_keypoints=False,
            imdecode_backend=imdecode_backend,
            backend_args=backend_args,
        )
        self.reduce_zero_label = reduce_zero_label
        self.cache = DecodedCache(cache_mb if backend_args is None else 0)
        self._has_warned = False

    def _load_seg_map(self, results: dict) -> None:
        if results.get(NORMAL):
            labels = normal_label(results)
        else:
            labels = self.cache.read(results['seg_map_path'], self._decode)
        if labels.shape != results.get('ori_shape', labels.shape):
            labels = self._turned(labels, results)
        table = self._table(results)
        results['gt_seg_map'] = labels if table is None else table[labels]
        results.setdefault('seg_fields', []).append('gt_seg_map')

    def _turned(self, labels: np.ndarray, results: dict) -> np.ndarray:
        """``labels`` turned as the image is, if only then they have its size."""
        if labels.shape != results['ori_shape'][::-1] or self.backend_args or not results.get('img_path'):
            return labels
        orientation = read_header(results['img_path']).orientation
        if orientation <= 4:
            return labels
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f'label map {results["seg_map_path"]!r} fits the image only before its EXIF rotation; it is turned '
                'with the image, and so are others of this kind',
                stacklevel=2,
            )
        return turn_upright(labels, orientation)

    def _decode(self, path: str) -> np.ndarray:
        try:
            content = fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError:
            raise FileNotFoundError(
                f'label map {path!r} does not exist. Each image needs a label of the same name in the folder '
                'data_prefix["seg_map_path"] with the ending seg_map_suffix; check both in the dataset config.'
            ) from None
        labels = mmcv.imfrombytes(content, flag='unchanged', backend=self.imdecode_backend)
        if labels is None:
            raise ValueError(
                f'label map {path!r} cannot be decoded: the file is damaged or not an image. Replace it.'
            )
        labels = labels.squeeze()
        if labels.ndim != 2:
            raise ValueError(
                f'label map {path!r} has shape {labels.shape}, expected (H, W) with one class id per pixel. '
                'Convert colours to ids with tools/dataset_tools/convert_labels.py'
                + (
                    ', or read a palette PNG with imdecode_backend="pillow".'
                    if self._reads_colours()
                    else '.'
                )
            )
        if labels.dtype != np.uint8:
            if labels.dtype != bool and (labels.min() < 0 or labels.max() > 255):
                raise ValueError(
                    f'label map {path!r} is {labels.dtype} with values {labels.min()}..{labels.max()}, expected '
                    'ids 0..255. Convert it with tools/dataset_tools/convert_labels.py.'
                )
            labels = labels.astype(np.uint8)
        return labels

    def _reads_colours(self) -> bool:
        return self.imdecode_backend != 'pillow'

    def _table(self, results: dict) -> np.ndarray | None:
        """The 256 new ids as one lookup table, None if they equal the old ones."""
        dataset_setting = results.get('reduce_zero_label')
        shift = dataset_setting if self.reduce_zero_label is None else self.reduce_zero_label
        if dataset_setting is not None and bool(shift) != bool(dataset_setting):
            raise ValueError(
                f'LoadAnnotations has reduce_zero_label={shift}, the dataset {dataset_setting}. '
                'Set it in the dataset only.'
            )
        label_map = results.get('label_map')
        if not shift and label_map is None:
            return None
        table = np.arange(256, dtype=np.uint8)
        for old, new in (label_map or {}).items():
            table[old] = new
        return table[_SHIFT_ZERO] if shift else table

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(reduce_zero_label={self.reduce_zero_label}, '
            f'imdecode_backend={self.imdecode_backend!r}, backend_args={self.backend_args})'
        )


@TRANSFORMS.register_module()
class LoadImageFromNDArray(MMCV_LoadImageFromFile):
    """Use an image array (H, W, C) in ``results['img']`` as if it had been loaded from a file."""

    def transform(self, results: dict) -> dict:
        """Fill ``img_path`` (None), ``img_shape`` and ``ori_shape``."""
        img = results['img']
        if self.to_float32:
            img = img.astype(np.float32)
        results.update(img=img, img_path=None, img_shape=img.shape[:2], ori_shape=img.shape[:2])
        return results


@TRANSFORMS.register_module()
class InferencerLoader(BaseTransform):
    """Load an inferencer's input: a path, an array (H, W, C), or a results dict with either.

    Keyword arguments are passed to ``LoadImageFromFile`` and ``LoadImageFromNDArray``.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__()
        self.from_file = TRANSFORMS.build(dict(type='LoadImageFromFile', **kwargs))
        self.from_ndarray = TRANSFORMS.build(dict(type='LoadImageFromNDArray', **kwargs))

    def transform(self, single_input: str | np.ndarray | dict) -> dict:
        """Return a results dict with ``img``."""
        if isinstance(single_input, str):
            inputs = dict(img_path=single_input)
        elif isinstance(single_input, np.ndarray):
            inputs = dict(img=single_input)
        elif isinstance(single_input, dict):
            inputs = single_input
        else:
            raise ValueError(
                f'expected a path, an array (H, W, C) or a dict with img or img_path, got {type(single_input)}.'
            )
        return self.from_ndarray(inputs) if 'img' in inputs else self.from_file(inputs)
