"""Find the checkpoint to resume from: the newest one of a run that is complete."""

import re
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path

from mmseg.utils.checkpoint_reading import damage


def is_whole(path: str | Path) -> bool:
    """Whether a file written by ``torch.save`` is complete: its zip directory and every checksum are right."""
    return Path(path).is_file() and zipfile.is_zipfile(path) and damage(path) is None


def _step(path: Path) -> int:
    """The iteration or epoch in ``iter_4000.pth``; -1 without one."""
    numbers = re.findall(r'\d+', path.stem)
    return int(numbers[-1]) if numbers else -1


def _newest_first(pointer: Path, folders: Iterable[Path]) -> list[Path]:
    """Checkpoints to resume from, the best first.

    ``last_checkpoint`` names the last one of the last run, unless the run was killed just after it had written
    another. Files with a higher number that are older than ``last_checkpoint`` come from an earlier run and
    are left out.
    """
    text = pointer.read_text().strip() if pointer.is_file() else ''  # empty if killed while it was written
    target = Path(text) if text else None
    if target is not None and not target.is_absolute():
        target = pointer.parent / target
    folders = {*folders, *([target.parent] if target else [])}
    if target is not None and not target.exists() and (pointer.parent / target.name).exists():
        target = pointer.parent / target.name  # the work folder was moved
    checkpoints = {
        p for folder in folders for p in folder.glob('*.pth') if re.fullmatch(r'(iter|epoch)_\d+', p.stem)
    }
    by_step = sorted(checkpoints, key=_step, reverse=True)
    if target is None:
        return by_step
    written = pointer.stat().st_mtime
    later = [p for p in by_step if _step(p) > _step(target) and p.stat().st_mtime >= written]
    earlier = [p for p in by_step if _step(p) < _step(target)]
    return [*later, *([target] if target.exists() else []), *earlier]


def find_last_whole_checkpoint(work_dir: str | Path, *folders: str | Path) -> str | None:
    """The newest complete checkpoint of a run, to resume from.

    Args:
        work_dir: the run's folder, with mmengine's ``last_checkpoint``.
        folders: further folders in which its checkpoints may be (``CheckpointHook.out_dir``).

    Returns:
        Its path, or None where there is none. Incomplete files are skipped with a warning that names them.
    """
    work_dir = Path(work_dir)
    for path in _newest_first(work_dir / 'last_checkpoint', [work_dir, *map(Path, folders)]):
        if is_whole(path):
            return str(path)
        warnings.warn(f'{path} is truncated or damaged; resuming from the checkpoint before it', stacklevel=2)
    return None
