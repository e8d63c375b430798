"""Keep decoded files in memory, since training reads each of them dozens of times."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

_MB = 1 << 20


class DecodedCache:
    """Decoded arrays by file, up to a bound, for one process.

    A file is kept at its second reading: a single pass over a dataset, as in testing, keeps nothing. A
    full cache takes no more, instead of evicting: under random or cyclic reading every eviction would
    throw away what is as likely to be read next. A file that changes on disk is decoded anew. Copies
    start empty, so that a pipeline stays cheap to copy and to send to a worker.

    Args:
        limit_mb: Bound of the arrays together, in MiB; 0 keeps nothing.
    """

    def __init__(self, limit_mb: int) -> None:
        if limit_mb < 0:
            raise ValueError(f'cache_mb={limit_mb}, expected MiB >= 0 (0 turns the cache off).')
        self.limit_mb = limit_mb
        self.nbytes = 0
        self._arrays: dict[str, tuple[tuple[int, int], np.ndarray]] = {}
        self._seen: set[str] = set()

    def read(self, path: str, decode: Callable[[str], np.ndarray]) -> np.ndarray:
        """``decode(path)``, from memory where it is known; the array belongs to the caller."""
        if not self.limit_mb:
            return decode(path)
        try:
            stat = Path(path).stat()
        except OSError:  # not a local file: the decoder knows what to do or to say
            return decode(path)
        version = stat.st_mtime_ns, stat.st_size
        known = self._arrays.get(path)
        if known is not None and known[0] == version:
            return known[1].copy()
        array = decode(path)
        if path in self._seen:
            self._keep(path, version, array)
        self._seen.add(path)
        return array

    def _keep(self, path: str, version: tuple[int, int], array: np.ndarray) -> None:
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
