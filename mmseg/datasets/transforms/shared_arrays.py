"""Arrays in memory that a process shares with those that it forks, by key, up to a bound."""

import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

try:
    import fcntl
except ImportError:  # where processes are not forked, nothing is shared
    fcntl = None

KEY_BYTES = 16
_MB = 1 << 20
_SLOTS_PER_MB = 64
_LEAST_SLOTS = 1024
_FULL = 0.7  # share of the slots in use, above which a search takes long
_MAX_DIMENSIONS = 4
_ABSENT, _SEEN, _STORED = range(3)
_ENTRY = np.dtype(
    [
        ('key', 'V16'),
        ('state', 'u1'),
        ('dimensions', 'u1'),
        ('dtype', 'S6'),
        ('shape', 'i8', _MAX_DIMENSIONS),
        ('offset', 'i8'),
    ]
)


class SharedArrays:
    """A bounded table of arrays. Nothing in it is changed or removed; the memory is freed with the last process.

    Pages are taken when they are first written. A process that is killed while it holds the lock releases it.

    Args:
        limit_mb: bound of the arrays' size in MiB, above 0.

    Raises:
        OSError: the system has no such memory.
    """

    def __init__(self, limit_mb: int) -> None:
        self._limit = limit_mb * _MB
        slots = 1 << max(limit_mb * _SLOTS_PER_MB, _LEAST_SLOTS).bit_length()
        self._memory = mmap.mmap(-1, self._limit)
        self._counts = np.frombuffer(mmap.mmap(-1, mmap.PAGESIZE), np.int64)[:2]  # slots in use, bytes in use
        self._table = np.frombuffer(mmap.mmap(-1, slots * _ENTRY.itemsize), _ENTRY)
        self._file = _anonymous_file() if fcntl else None
        self._thread_lock, self._process = threading.Lock(), os.getpid()

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return int(self._counts[1])

    def get(self, key: bytes) -> np.ndarray | None:
        """A copy of the array of a key; None where there is none."""
        with self._locked():
            entry = self._table[self._slot(key)].copy()
        if entry['state'] != _STORED:
            return None
        shape = tuple(entry['shape'][: entry['dimensions']])
        count = int(np.prod(shape))
        return (
            np.frombuffer(self._memory, entry['dtype'].decode(), count, entry['offset']).reshape(shape).copy()
        )

    def put(self, key: bytes, array: np.ndarray) -> None:
        """Store an array under its key, the second time that it is offered, if there is room and it is not there yet."""
        with self._locked():
            slot = self._slot(key)
            state = self._table['state'][slot]
            if state == _ABSENT:
                if self._counts[0] < _FULL * len(self._table):
                    self._table['state'][slot] = _SEEN
                    self._table['key'][slot] = np.void(key)
                    self._counts[0] += 1
            elif state == _SEEN and array.ndim <= _MAX_DIMENSIONS and array.dtype.kind in 'biuf':
                self._store(slot, np.ascontiguousarray(array))

    def _store(self, slot: int, array: np.ndarray) -> None:
        offset = self.nbytes
        if array.nbytes == 0 or offset + array.nbytes > self._limit:
            return
        self._counts[1] += -(-array.nbytes // 64) * 64  # the next one begins at a cache line
        self._memory[offset : offset + array.nbytes] = array.reshape(-1).view(np.uint8).data
        entry = self._table[slot : slot + 1]
        entry['dimensions'], entry['dtype'], entry['offset'] = array.ndim, array.dtype.str.encode(), offset
        entry['shape'][0, : array.ndim] = array.shape
        entry['state'] = _STORED

    def _slot(self, key: bytes) -> int:
        """The slot of a key, or the free one that it would get."""
        slot = int.from_bytes(key[:8], 'little') % len(self._table)
        while self._table['state'][slot] != _ABSENT and self._table['key'][slot].tobytes() != key:
            slot = (slot + 1) % len(self._table)
        return slot

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if os.getpid() != self._process:  # a fork may have copied a lock that a thread held
            self._thread_lock, self._process = threading.Lock(), os.getpid()
        with self._thread_lock:
            if fcntl:
                fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                if fcntl:
                    fcntl.lockf(self._file, fcntl.LOCK_UN)


def _anonymous_file():
    if hasattr(os, 'memfd_create'):
        return os.fdopen(os.memfd_create('mmseg_cache'), 'wb')
    return tempfile.TemporaryFile()
