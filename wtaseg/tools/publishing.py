"""A checkpoint without what only a resumed training needs."""

import hashlib
import io
from pathlib import Path

import torch

from mmseg.engine.checkpoint_loading import read_checkpoint, weights_of
from mmseg.utils.files import write_atomically

#: What is kept: the weights, and what predictions need to know about them.
KEPT = ('state_dict', 'meta')
_DIGITS = 8


def publish(checkpoint: Path, out: Path) -> Path:
    """Write the weights, class names and config of a checkpoint; optimizer, schedules and logs are left out.

    Args:
        checkpoint: as training writes it.
        out: the file, to whose name the beginning of its SHA-256 is added: ``model.pth`` becomes ``model-1a2b3c4d.pth``.

    Returns:
        The file.

    Raises:
        FileNotFoundError, ValueError: the checkpoint can not be read, or has no weights.
    """
    content = read_checkpoint(str(checkpoint), 'cpu')
    kept = {key: content[key] for key in KEPT if key in content}
    kept['state_dict'] = weights_of(content, checkpoint)
    meta = dict(kept.get('meta') or {})
    recorded = (content.get('message_hub') or {}).get('runtime_info') or {}
    if not meta.get('cfg') and recorded.get('cfg'):
        meta['cfg'] = recorded['cfg']
    kept['meta'] = meta
    buffer = io.BytesIO()
    torch.save(kept, buffer)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()[:_DIGITS]
    path = out.with_name(f'{out.stem}-{digest}{out.suffix or ".pth"}')
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
    return path
