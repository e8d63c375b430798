"""Arrays kept compressed in memory: labels and masks of a whole dataset, which are almost everywhere constant."""

import zlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PackedArray:
    """A NumPy array as zlib bytes; a label of 512² takes about 1 kB."""

    shape: tuple[int, ...]
    dtype: str
    content: bytes

    @classmethod
    def pack(cls, array: np.ndarray) -> 'PackedArray':
        """Compress ``array``."""
        return cls(array.shape, array.dtype.str, zlib.compress(np.ascontiguousarray(array), 1))

    def array(self) -> np.ndarray:
        """The array, writable, equal to the packed one to the bit."""
        return np.frombuffer(bytearray(zlib.decompress(self.content)), self.dtype).reshape(self.shape)
