"""Inversions cached on disk, so that six words, six runs or a restart cost one inversion.

A file is named by the SHA-256 of a key of everything the inversion depends on; the key itself is stored in the file
and compared when it is read.
"""

import hashlib
import json
import logging
import time
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open

from augment.config import AugmentConfig
from augment.diffusion.inverted import Inversion
from augment.files import is_abandoned, json_line, temporaries, write_bytes

LAYOUT = 2
"""Part of the key; increased whenever the meaning of the stored tensors changes."""

ABANDONED_AFTER = 24 * 3600
"""Seconds after which a half-written file in the shared folder cannot belong to a running process."""


def inversion_key(
    config: AugmentConfig, fingerprint: str, device: str, image_sha256: str, box: tuple, size: tuple
) -> dict[str, Any]:
    """Everything the inversion of one region depends on."""
    key = {
        name: getattr(config, name)
        for name in (
            'source_prompt',
            'steps',
            'guidance',
            'rli_alpha',
            'inversion',
            'inner_steps',
            'dtype',
            'size_condition',
        )
    }
    # These three change the inversion by rounding only, which is enough to change bytes.
    key |= {'low_resource': config.low_resource, 'compile': config.compile, 'device': device}
    key |= {'image_sha256': image_sha256, 'box': list(box), 'size': list(size), 'resize': 'lanczos'}
    return key | {'model': fingerprint, 'layout': LAYOUT}


class InversionCache:
    """Inversions of single regions under ``folder``; with None nothing is cached."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def path(self, key: dict[str, Any]) -> Path:
        """The file for the inversion of ``key``."""
        assert self.folder is not None
        name = hashlib.sha256(json_line(key).encode()).hexdigest()
        return self.folder / name[:2] / f'{name}.safetensors'

    def load(self, key: dict[str, Any]) -> Inversion | None:
        """The inversion on the CPU, or None when there is none or its file is damaged."""
        if self.folder is None or not (path := self.path(key)).is_file():
            return None
        try:
            with safe_open(path, framework='pt') as file:
                about = json.loads(file.metadata()['about'])
                if about['key'] != key:
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Inversion.from_tensors(tensors, about['stats'])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            logging.getLogger(__name__).warning('inversion %s cannot be read (%s); recomputed', path, error)
            return None

    def save(self, key: dict[str, Any], inversion: Inversion) -> None:
        """Write the inversion of one region; the same inversion gives the same bytes."""
        if self.folder is None:
            return
        tensors = {name: t.detach().cpu().contiguous() for name, t in inversion.tensors().items()}
        about = json_line({'key': key, 'stats': inversion.stats})
        write_bytes(self.path(key), safetensors.torch.save(tensors, metadata={'about': about}))

    def clean(self) -> None:
        """Remove half-written files of runs that were killed: of this machine, or long ago."""
        if self.folder is not None and self.folder.is_dir():
            for path in temporaries(self.folder):
                if is_abandoned(path) or time.time() - path.stat().st_mtime > ABANDONED_AFTER:
                    path.unlink(missing_ok=True)
