"""Keep decoded files in memory, since training reads each of them many times."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .shared_arrays import KEY_BYTES, SharedArrays


class DecodedCache:
    """Decoded arrays by file, up to a bound, for one process and the workers that it starts after :meth:`share`.

    A file is cached when it is read for the second time, so that a single pass over a dataset, as in testing,
    caches nothing. A full cache adds nothing and evicts nothing: under random or cyclic reading an evicted file
    would be as likely to be read next as the new one. A file that changes on disk is decoded again. Copies of
    the cache are empty, so that a pipeline is cheap to copy and to send to a worker.

    Args:
        limit_mb: Bound of the total size of the arrays of all processes, in MiB; 0 caches nothing.
    """

    def __init__(self, limit_mb: int) -> None:
        if limit_mb < 0:
            raise ValueError(f'cache_mb={limit_mb}, expected MiB >= 0 (0 turns the cache off).')
        self.limit_mb = limit_mb
        self._arrays: SharedArrays | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the cached arrays."""
        return 0 if self._arrays is None else self._arrays.nbytes

    def share(self) -> None:
        """Let processes that are forked from now on use this cache together."""
        if self.limit_mb and self._arrays is None:
            try:
                self._arrays = SharedArrays(self.limit_mb)
            except OSError:  # no memory for it
                self.limit_mb = 0

    def read(self, path: str, decode: Callable[[str], np.ndarray]) -> np.ndarray:
        """``decode(path)``, from memory where it is cached; the caller may modify the array."""
        if not self.limit_mb:
            return decode(path)
        try:
            stat = Path(path).stat()
        except OSError:  # not a local file; the decoder reads it or raises
            return decode(path)
        self.share()
        if self._arrays is None:
            return decode(path)
        name = f'{stat.st_mtime_ns}/{stat.st_size}/{path}'.encode()
        key = hashlib.blake2b(name, digest_size=KEY_BYTES).digest()
        array = self._arrays.get(key)
        if array is None:
            array = decode(path)
            self._arrays.put(key, array)
        return array

    def __getstate__(self) -> dict:
        return dict(limit_mb=self.limit_mb)

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)


def share_caches(pipeline: Any) -> None:
    """Call :meth:`DecodedCache.share` of every transform of a pipeline, before a data loader starts its workers.

    Args:
        pipeline: a transform or a ``Compose`` of them, in wrappers or not.
    """
    for transform in _transforms(pipeline):
        cache = getattr(transform, 'cache', None)
        if isinstance(cache, DecodedCache):
            cache.share()


def _transforms(node: Any) -> Iterator[Any]:
    yield node
    inner = getattr(node, 'transforms', None)
    for item in inner if isinstance(inner, (list, tuple)) else [inner] if inner is not None else []:
        yield from _transforms(item)
