"""``job/<name>/state.json``: which stages of a run are done, with which settings; and the lock beside it.

=============  ======================================================================
config         the experiment's config
settings       ``{'train': …, 'test': …}`` of :func:`wtaseg.runs.settings.describe`
checkpoint     the selected checkpoint, once the training has ended
metrics        JSON file of the test, once it has ended
seconds        duration of all parts of training and test until they were done first
started        when the current part started (Unix time); null between parts
error          why the last job on this run failed; null where it did not
=============  ======================================================================

Paths are relative to ``exp/<name>``.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmseg.processes import FolderInUseError, locked
from wtaseg.io import inside, read_json, remove_drafts, write
from wtaseg.runs.layout import RunLayout

#: Keys of the state that are paths below ``exp/<name>``.
PATHS = ('checkpoint', 'metrics')


class ExperimentError(Exception):
    """An experiment cannot be trained or tested; the message says why, ``log`` is where to read on."""

    def __init__(self, message: str, log: Path | None = None):
        super().__init__(message)
        self.log = log


def read_state(layout: RunLayout) -> dict[str, Any]:
    """The content of a run's state file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not a JSON object, or names a file outside the run's folder.
    """
    expected = 'the state of a run; delete it and give --restart to train again'
    content = read_json(layout.state, expected)
    if not isinstance(content, dict):
        raise ValueError(f'{layout.state} holds a {type(content).__name__}; expected {expected}')
    for key in PATHS:
        if content.get(key) is not None:
            inside(layout.exp, content[key], layout.state)
    return content


class RunState:
    """The content of a run's state file; empty where there is none."""

    def __init__(self, layout: RunLayout):
        self.layout = layout
        self.content: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        return self.content.get(key)

    def load(self) -> None:
        """Read the file.

        Raises:
            ExperimentError: it is not what a job writes.
        """
        if not self.layout.state.is_file():
            return
        try:
            self.content = read_state(self.layout)
        except ValueError as error:
            raise ExperimentError(str(error)) from error

    def save(self, **changed: Any) -> None:
        """Change some entries and write the file."""
        self.content.update(changed)
        write(self.layout.state, json.dumps(self.content, indent=1))

    def reset(self) -> None:
        """Forget everything; the file changes with the next :meth:`save`."""
        self.content = {}

    @property
    def trained(self) -> bool:
        """Whether the training has ended and a checkpoint was selected."""
        return bool(self['checkpoint'])

    @property
    def tested(self) -> bool:
        """Whether the test has ended and its result is still there."""
        return bool(self['metrics']) and (self.layout.exp / self['metrics']).is_file()

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Keep other jobs off this run, also when this one is killed and its training survives.

        Temporary files of jobs that were killed are removed.

        Yields:
            The file descriptor of the lock, for the programs to inherit.

        Raises:
            ExperimentError: another job, or the training of one that was killed, has the lock.
        """
        try:
            with locked(
                self.layout.lock, f'another job is at work on it: {self.layout.exp}', keep=True
            ) as descriptor:
                remove_drafts(self.layout.job)
                remove_drafts(self.layout.exp)
                yield descriptor
        except FolderInUseError as error:
            raise ExperimentError(str(error)) from None
