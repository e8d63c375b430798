"""The checkpoints of a run: which one to resume from, which one to test, which ones to keep."""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from wtaseg.runs.layout import CHECKPOINTS, RunLayout
from wtaseg.runs.outputs import training_logs
from wtaseg.runs.select import find_best
from wtaseg.runs.state import ExperimentError

# SHA-256 of bash/find_best.py as the project has it
OWN_FIND_BEST = '587b507fd8238ff5b29598be7d663008f03a9b45ddbb44ff40feb40c133ead40'


def numbered(layout: RunLayout) -> list[Path]:
    """``iter_4000.pth`` and ``epoch_2.pth`` of a run, ascending."""
    paths = (path for path in layout.checkpoints.glob('*.pth') if path.stem.startswith(('iter_', 'epoch_')))
    return sorted(paths, key=lambda path: int(path.stem.rpartition('_')[2]))


def last_checkpoint(layout: RunLayout) -> Path | None:
    """The checkpoint to resume from; corrects the file in which mmengine looks for it.

    That file holds an absolute path, which is wrong once a project was moved; and a run that was killed while it
    saved leaves a truncated checkpoint.
    """
    complete = [path for path in numbered(layout) if zipfile.is_zipfile(path)]
    pointer = layout.train / 'last_checkpoint'
    named = pointer.read_text(encoding='utf-8').strip() if pointer.is_file() else ''
    if named and Path(named) in complete:
        return Path(named)
    if not complete:
        pointer.unlink(missing_ok=True)
        return None
    pointer.write_text(str(complete[-1]), encoding='utf-8')
    return complete[-1]


def trained_checkpoint(folder: Path) -> Path:
    """The checkpoint to use of a training's work folder: the best of its validations, else the last on schedule.

    Raises:
        FileNotFoundError: the folder has none.
    """
    for pattern in ('best_*.pth', 'iter_*.pth', 'epoch_*.pth'):
        paths = [path for place in (folder, folder / CHECKPOINTS) for path in place.glob(pattern)]
        if paths:
            return max(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))
    raise FileNotFoundError(
        f'{folder}: no checkpoint (best_*.pth, iter_*.pth) of a training; train first, or give the file of a checkpoint'
    )


def user_find_best(folder: Path) -> Path | None:
    """The ``find_best.py`` of a folder, where it is the user's own; None: it is the project's.

    Raises:
        FileNotFoundError: the folder has none.
    """
    program = folder / 'find_best.py'
    if not program.is_file():
        raise FileNotFoundError(f'{program} does not exist; set FIND_BEST_DIR')
    return None if hashlib.sha256(program.read_bytes()).hexdigest() == OWN_FIND_BEST else program


def select_checkpoint(layout: RunLayout, program: Path | None, log: Path) -> Path:
    """The checkpoint of the best validation, over all logs of a training.

    Args:
        layout: the run.
        program: a ``find_best.py`` of the user's own, called with ``--json_log_path`` and the logs; it prints the
            step. None: :func:`wtaseg.runs.select.find_best`.
        log: the training's log, which errors refer to.

    Raises:
        ExperimentError: there is no validation, or no checkpoint of the best one.
    """
    logs = training_logs(layout.exp)
    if not logs:
        raise ExperimentError('no best checkpoint: no log was written', log)
    try:
        step = str(find_best(logs)[0]) if program is None else _ask(program, logs)
    except (OSError, ValueError) as error:
        raise ExperimentError(f'no best checkpoint: {error}', log) from None
    best = [path for path in numbered(layout) if path.stem.rpartition('_')[2] == step]
    if not best:
        raise ExperimentError(
            f'the best validation is at step {step}, but {layout.checkpoints} has no checkpoint of it; '
            'give --restart to train again',
            log,
        )
    return best[0]


def _ask(program: Path, logs: Sequence[Path]) -> str:
    """The step that a program of the user's own prints."""
    command = [sys.executable, str(program), '--json_log_path', *map(str, logs)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode or not result.stdout.strip():
        raise ValueError(f'{program}: {(result.stderr.strip() or "no step was printed").splitlines()[-1]}')
    return result.stdout.split()[-1]


def tidy(layout: RunLayout, best: Path, keep: int) -> None:
    """Keep the best and the ``keep`` last numbered checkpoints (-1: all), and those of ``save_best``."""
    for path in layout.train.glob('best_*.pth'):
        # of a training begun before the checkpoint hook had a subfolder: the folder was part of the name
        path.replace(layout.checkpoints / path.name.replace('_ckpt_', '_'))
    for path in numbered(layout)[:-keep] if keep > 0 else []:
        if path != best:
            path.unlink()
