"""Checkpoint files on disk: written whole or not at all, and the last whole one found again."""

import os
import re
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


@register_backend('local', prefixes='', force=True)
class AtomicLocalBackend(LocalBackend):
    """mmengine's backend for local files, whose files appear whole or not at all.

    Content goes to a temporary name in the same folder, is flushed to disk and then renamed, so that a
    process killed while it writes leaves the old file, or none.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to ``filepath``; missing folders are made."""
        target = Path(filepath)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f'.{target.name}.{os.getpid()}.tmp')
        try:
            with temporary.open('wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text to ``filepath``; missing folders are made."""
        self.put(obj.encode(encoding), filepath)


def is_whole(path: str | Path) -> bool:
    """Whether a file written by ``torch.save`` is complete: its zip directory and every checksum are right."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _step(path: Path) -> int:
    """The iteration or epoch in ``iter_4000.pth``; -1 without one."""
    numbers = re.findall(r'\d+', path.stem)
    return int(numbers[-1]) if numbers else -1


def _in_order_of_trust(pointer: Path, folders: Iterable[Path]) -> list[Path]:
    """Checkpoints to resume from, the best first.

    ``last_checkpoint`` tells the last one of the last run, save one that was written just before a kill.
    Files with a higher number that are older than it come from an earlier run and are left out.
    """
    named = pointer.read_text().strip() if pointer.is_file() else ''  # empty if killed while it was written
    target = Path(named) if named else None
    if target is not None and not target.is_absolute():
        target = pointer.parent / target
    folders = {*folders, *([target.parent] if target else [])}
    if target is not None and not target.exists() and (pointer.parent / target.name).exists():
        target = pointer.parent / target.name  # the work folder was moved
    found = {
        p for folder in folders for p in folder.glob('*.pth') if re.fullmatch(r'(iter|epoch)_\d+', p.stem)
    }
    found = sorted(found, key=_step, reverse=True)
    if target is None:
        return found
    written = pointer.stat().st_mtime
    ahead = [p for p in found if _step(p) > _step(target) and p.stat().st_mtime >= written]
    behind = [p for p in found if _step(p) < _step(target)]
    return [*ahead, *([target] if target.exists() else []), *behind]


def find_last_whole_checkpoint(work_dir: str | Path, *folders: str | Path) -> str | None:
    """The newest complete checkpoint of a run, to resume from.

    Args:
        work_dir: the run's folder, with mmengine's ``last_checkpoint``.
        folders: more places where its checkpoints may lie (``CheckpointHook.out_dir``).

    Returns:
        Its path, or None where there is none. Incomplete files are skipped with a warning that names them.
    """
    work_dir = Path(work_dir)
    for path in _in_order_of_trust(work_dir / 'last_checkpoint', [work_dir, *map(Path, folders)]):
        if is_whole(path):
            return str(path)
        warnings.warn(f'{path} is cut off or damaged; taking the checkpoint before it', stacklevel=2)
    return None
