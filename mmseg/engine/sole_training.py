"""One training at a time in a work folder."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process

from mmseg.processes import FolderInUseError, locked
from mmseg.utils.files import remove_temporaries

#: Lock file of a work folder, held while a training writes to it.
LOCK = '.training.lock'


@contextmanager
def sole_training(work_dir: str | Path, folders: Iterable[Path] = ()) -> Iterator[None]:
    """Hold the lock of a work folder in the first process, and remove what killed trainings left there.

    Args:
        work_dir: the work folder.
        folders: further folders of its checkpoints.

    Raises:
        FolderInUseError: another training is at work in it; raised in every process.
    """
    outcome: list = [None]
    with ExitStack() as stack:
        if is_main_process():
            try:
                stack.enter_context(locked(Path(work_dir, LOCK), f'the work folder {work_dir}'))
                for folder in (Path(work_dir), *folders):
                    remove_temporaries(folder)
            except FolderInUseError as error:
                outcome = [str(error)]
        broadcast_object_list(outcome)  # the others would wait forever
        if outcome[0] is not None:
            raise FolderInUseError(outcome[0])
        yield
