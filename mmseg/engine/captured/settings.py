"""The config key ``training_step``."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

#: Key of the config.
KEY = 'training_step'
DTYPES = {'bfloat16': torch.bfloat16, 'float32': torch.float32}


@dataclass(frozen=True)
class StepSettings:
    """How a training step runs on a GPU; on the CPU it has no effect.

    Attributes:
        capture: capture the step in a CUDA graph.
        dtype: ``'bfloat16'``: of autocast; ``'float32'``: no autocast.
        channels_last: memory layout of the weights and images; None: with bfloat16.
        data: distort and normalise the images of a training on the GPU; more workers, pinned memory.

    Raises:
        ValueError: a value of another kind.
    """

    capture: bool = True
    dtype: str = 'bfloat16'
    channels_last: bool | None = None
    data: bool = True

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f'{KEY}.dtype={self.dtype!r}; expected one of {", ".join(DTYPES)}')
        for name in ('capture', 'channels_last', 'data'):
            value = getattr(self, name)
            if not isinstance(value, bool) and not (value is None and name == 'channels_last'):
                raise ValueError(f'{KEY}.{name}={value!r}; expected True or False')

    @classmethod
    def from_config(cls, cfg: Mapping[str, Any]) -> 'StepSettings':
        """The settings in ``training_step`` of a config; the defaults where it has none.

        Raises:
            ValueError: a key is unknown or has a wrong value.
        """
        options = cfg.get(KEY)
        if options is None:
            return cls()
        if not isinstance(options, Mapping):
            raise ValueError(f"{KEY}={options!r}; expected dict(capture=True, dtype='bfloat16')")
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1, 0)
                raise ValueError(f'{KEY}.{name} is unknown; nearest: {KEY}.{near[0]}')
        return cls(**options)

    @property
    def autocast_dtype(self) -> torch.dtype | None:
        """Of autocast; None: none."""
        return None if self.dtype == 'float32' else DTYPES[self.dtype]

    @property
    def uses_channels_last(self) -> bool:
        """Whether weights and images are stored with the channels last."""
        return self.dtype != 'float32' if self.channels_last is None else self.channels_last
