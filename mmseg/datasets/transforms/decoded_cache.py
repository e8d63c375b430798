"""Keep decoded files in memory, since training reads each of them many times."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

_MB = 1 << 20


class DecodedCache:
    """Decoded arrays by file, up to a bound, for one process.

    A file is cached when it is read for the second time, so that a single pass over a dataset, as in testing,
    caches nothing. A full cache adds nothing and evicts nothing: under random or cyclic reading an evicted file
    would be as likely to be read next as the new one. A file that changes on disk is decoded again. Copies of
    the cache are empty, so that a pipeline is cheap to copy and to send to a worker.

    Args:
        limit_mb: Bound of the total size of the arrays, in MiB; 0 caches nothing.
    """

    def __init__(self, limit_mb: int) -> None:
        if limit_mb < 0:
            raise ValueError(f'cache_mb={limit_mb}, expected MiB >= 0 (0 turns the cache off).')
        self.limit_mb = limit_mb
        self.nbytes = 0
        self._arrays: dict[str, tuple[tuple[int, int], np.ndarray]] = {}
        self._seen: set[str] = set()

    def read(self, path: str, decode: Callable[[str], np.ndarray]) -> np.ndarray:
        """``decode(path)``, from memory where it is cached; the caller may modify the array."""
        if not self.limit_mb:
            return decode(path)
        try:
            stat = Path(path).stat()
        except OSError:  # not a local file; the decoder reads it or raises
            return decode(path)
        version = stat.st_mtime_ns, stat.st_size
        cached = self._arrays.get(path)
        if cached is not None and cached[0] == version:
            return cached[1].copy()
        array = decode(path)
        if path in self._seen:
            self._store(path, version, array)
        self._seen.add(path)
        return array

    def _store(self, path: str, version: tuple[int, int], array: np.ndarray) -> None:
        old = self._arrays.pop(path, None)
        if old is not None:
            self.nbytes -= old[1].nbytes
        if self.nbytes + array.nbytes <= self.limit_mb * _MB:
            self._arrays[path] = version, array.copy()
            self.nbytes += array.nbytes

    def __getstate__(self) -> dict:
        return dict(limit_mb=self.limit_mb)

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)
