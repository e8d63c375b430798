"""What files hold that two runs of one command must have in common, and whether a file is whole."""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

#: Values of JSON files that differ between two runs: times, and names made of them.
TIMES = {
    'data_time',
    'date',
    'iteration_seconds',
    'machine',
    'memory',
    'memory_mib',
    'metrics_file',
    'seconds',
    'started',
    'time',
}
#: Parts of the names of files that are still being written.
_TEMPORARY = ('.part', '.tmp')
_LOCKS = ('.training.lock', '.render.lock', '.predict.lock', '.new.lock')


def is_temporary(path: Path) -> bool:
    """Whether a file is one that a program renames when it is complete."""
    return path.name.startswith('.') and (path.suffix in _TEMPORARY or path.name.startswith('.partial-'))


def is_left_over(path: Path) -> bool:
    """Whether a finished program leaves no such file."""
    return is_temporary(path) or path.name in _LOCKS


def files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted."""
    yield from (path for path in sorted(folder.rglob('*')) if path.is_file())


def tree(folder: Path) -> dict[str, str]:
    """A digest of every file below a folder by its relative path."""
    return {path.relative_to(folder).as_posix(): digest(path) for path in files(folder)}


def digest(path: Path) -> str:
    """Of a checkpoint's tensors and counts, of every other file's bytes."""
    if path.suffix == '.pth':
        return checkpoint(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def checkpoint(path: Path) -> str:
    """A digest of weights, optimizer and schedules."""
    from mmseg.engine import read_checkpoint

    content = read_checkpoint(str(path), map_location='cpu')
    result = hashlib.sha256()
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        _update(result, content.get(key))
    return result.hexdigest()


def _update(result: Any, value: Any) -> None:
    import torch

    if isinstance(value, torch.Tensor):
        result.update(
            str((value.dtype, tuple(value.shape))).encode() + value.cpu().contiguous().numpy().tobytes()
        )
    elif isinstance(value, dict):
        for key in value:
            result.update(str(key).encode())
            _update(result, value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            _update(result, item)
    else:
        result.update(repr(value).encode())


def scalars(train: Path) -> dict[str, Any]:
    """Losses and metrics of a training by iteration, over all its parts; the last part counts."""
    result = {}
    for log in sorted(train.glob('*/vis_data/*[0-9].json')):
        for line in log.read_text().splitlines():
            try:
                values = json.loads(line)
            except ValueError:  # the line that was being written when the process was killed
                continue
            kind = 'training' if 'loss' in values else 'validation'
            result[f'{kind} {values["step"]}'] = without(values, TIMES)
    return result


def without(value: Any, names: Iterable[str]) -> Any:
    """JSON content without some keys, at any depth."""
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    return [without(item, names) for item in value] if isinstance(value, list) else value


def parsed(path: Path, root: Path, more: Iterable[str] = ()) -> Any:
    """A JSON file without times and without the folder of the run."""
    text = path.read_text().replace(str(root), '<root>')
    return without(json.loads(text), TIMES | set(more))


def damaged(folder: Path) -> list[str]:
    """Files under their final names that are not whole; those that are only appended to are left out."""
    return [f'{path}: {why}' for path in files(folder) if not is_temporary(path) and (why := damage(path))]


def damage(path: Path) -> str:
    """Why a file is not whole; empty: it is, or one can not tell."""
    import numpy as np
    from PIL import Image

    try:
        if path.suffix == '.png':
            with Image.open(path) as image:
                np.asarray(image)
        elif path.suffix == '.json' and 'vis_data' not in path.parts:
            json.loads(path.read_text())
        elif path.suffix == '.pth':
            with zipfile.ZipFile(path) as file:
                return file.testzip() or ''
        elif path.suffix == '.safetensors':
            from safetensors import safe_open

            with safe_open(path, framework='np') as file:
                for name in file.keys():  # noqa: SIM118  not a dict
                    file.get_tensor(name)
    except Exception as error:  # whatever a reader raises, the file is not whole
        return f'{type(error).__name__}: {error}'
    return ''
