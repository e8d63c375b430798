"""Features of a frozen backbone on disk, in half precision, each computed once.

A file is named by what its content depends on: the backbone's weights and options, and the pixels and size of the image
as the backbone gets it. So whatever changes, the data, its preprocessing or the checkpoint, makes other files, and a
cache never has to be told.
"""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmseg.utils.files import atomic_path

#: Maps (N, C, H, W), or (map, class token) pairs.
Features = list[Tensor] | list[list[Tensor]]

_DIGEST_BYTES = 16
_GB = 10**9


def digest_of_model(model: nn.Module, identity: str) -> str:
    """Hash of a model's weights and of ``identity``, which says what else its outputs depend on."""
    digest = hashlib.blake2b(identity.encode(), digest_size=_DIGEST_BYTES)
    for name, value in model.state_dict().items():
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(_bytes_of(value))
    return digest.hexdigest()


def _bytes_of(value: Tensor) -> memoryview:
    return memoryview(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())


class FeatureCache:
    """Outputs of one frozen backbone, by image.

    Args:
        folder: of the cache, which several backbones share.
        model: digest of the backbone, see :func:`digest_of_model`.
        limit_gb: nothing is added beyond this total size of the folder, in 10^9 bytes; the rest is computed each time.

    Attributes:
        read, computed: number of images whose features were read, and computed.
    """

    def __init__(self, folder: str | Path, model: str, limit_gb: float) -> None:
        self.folder = Path(folder)
        self.model = model
        self.limit = int(limit_gb * _GB)
        self.size = sum(path.stat().st_size for path in self.folder.rglob('*.npz'))
        self.read = self.computed = 0
        self._writing = True

    def features(self, images: Tensor, encode: Callable[[Tensor], Features]) -> Features:
        """The features of images (N, C, H, W), float32, rounded to half precision also when they are computed.

        Args:
            images: as the backbone gets them.
            encode: the backbone; called with one image at a time, so that no result depends on a batch.

        Raises:
            RuntimeError: a CUDA graph is being captured, which can not read files.
            ValueError: a feature is beyond the range of half precision.
        """
        if images.is_cuda and torch.cuda.is_current_stream_capturing():
            raise RuntimeError(
                'the feature cache reads files, which a CUDA graph can not; train without capture'
            )
        rows = [self._of_one(image[None], encode) for image in images]
        return [_stack(outputs, images.device) for outputs in zip(*rows)]

    def _of_one(self, image: Tensor, encode: Callable[[Tensor], Features]) -> list[list[np.ndarray]]:
        """Each output of one image as a list of one map, or of a map and a class token, in half precision."""
        path = self._path(image)
        rows = _load(path)
        if rows is not None:
            self.read += 1
            return rows
        rows = [[_half(value) for value in _listed(output)] for output in encode(image)]
        self.computed += 1
        self._store(path, rows)
        return rows

    def _path(self, image: Tensor) -> Path:
        kind = image.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else image.dtype
        digest = hashlib.blake2b(f'{dtype} {tuple(image.shape)}'.encode(), digest_size=_DIGEST_BYTES)
        digest.update(_bytes_of(image))
        return self.folder / self.model / f'{digest.hexdigest()}.npz'

    def _store(self, path: Path, rows: list[list[np.ndarray]]) -> None:
        size = sum(value.nbytes for row in rows for value in row)
        if not self._writing:
            return
        if self.size + size > self.limit:
            self._stop(
                f'it would exceed limit_gb={self.limit / _GB:g}; delete old features or raise the limit'
            )
            return
        arrays = {f'{i}.{j}': value for i, row in enumerate(rows) for j, value in enumerate(row)}
        try:
            with atomic_path(path, sync=False) as temporary, temporary.open('wb') as file:
                np.savez(file, **arrays)
        except OSError as error:
            self._stop(str(error))
            return
        self.size += size

    def _stop(self, reason: str) -> None:
        self._writing = False
        print_log(
            f'feature cache {self.folder}: no more features are added, the rest is computed each time: {reason}',
            logger='current',
            level=30,
        )


def _listed(output: Tensor | list[Tensor]) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else list(output)


def _half(value: Tensor) -> np.ndarray:
    array = value[0].float().cpu().numpy()
    with np.errstate(over='ignore'):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError(
            f'feature cache: a feature of {np.abs(array).max():g} is not finite in half precision; expected at most '
            f'{np.finfo(np.float16).max:g}. Set norm=True in the backbone, or remove FeatureCacheHook'
        )
    return half


def _stack(outputs: tuple[list[np.ndarray], ...], device: torch.device) -> Tensor | list[Tensor]:
    """One output of several images as a batch, float32."""
    # stacked by numpy: under autocast on a CPU torch.stack takes no half precision
    tensors = [torch.from_numpy(np.stack(arrays)).to(device).float() for arrays in zip(*outputs)]
    return tensors[0] if len(tensors) == 1 else tensors


def _load(path: Path) -> list[list[np.ndarray]] | None:
    """The features in a file; None where there is none, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {tuple(map(int, name.split('.'))): file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    rows: dict[int, list[np.ndarray]] = {}
    for (i, _), value in sorted(arrays.items()):
        rows.setdefault(i, []).append(value)
    return list(rows.values())
