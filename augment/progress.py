"""Progress of a run: edits with rate and remaining time, and the steps of the current batch."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

LOG_INTERVAL = 30.0
"""Seconds between log lines about the steps of a batch, where there is no terminal for bars."""

log = logging.getLogger(__name__)


class RateColumn(ProgressColumn):
    """Edits a minute."""

    def render(self, task: Task) -> Text:
        """The rate, or nothing before the first edit."""
        return Text(f'{task.speed * 60:.2f}/min' if task.speed else '')


class Silent:
    """No output: for processes other than the main one, and the base class of ``Bars``."""

    def __enter__(self) -> 'Silent':
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def start(self, total: int) -> None:
        """``total`` edits are to be made."""

    def stage(self, text: str) -> Callable[[int, int], None]:
        """A new stage begins; the returned function is called with its steps as ``(done, total)``."""
        return lambda done, total: None

    def finished(self, count: int) -> None:
        """``count`` more edits are done."""


class Bars(Silent):
    """Two bars on a terminal; log lines where standard error is no terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self.plain = not console.is_terminal
        self.done = self.ahead = 0
        self.began = time.monotonic()
        self.bars = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=self.plain,
        )

    def __enter__(self) -> 'Bars':
        self.bars.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bars.stop()

    def start(self, total: int) -> None:
        """Show ``total`` edits to be made."""
        self.ahead, self.began = total, time.monotonic()
        self.edits = self.bars.add_task('edits', total=total)
        self.steps = self.bars.add_task('', total=None)

    def stage(self, text: str) -> Callable[[int, int], None]:
        """Show the steps of a new stage; in the log at most every LOG_INTERVAL seconds."""
        if self.plain:
            began = logged = time.monotonic()

            def report(done: int, total: int) -> None:
                nonlocal logged
                now = time.monotonic()
                if now - logged >= LOG_INTERVAL:
                    logged = now
                    left = timedelta(seconds=round((now - began) / done * (total - done)))
                    log.info('%s: step %d of %d, %s to go', text, done, total, left)

            return report
        self.bars.reset(self.steps, description=text)
        return lambda done, total: self.bars.update(self.steps, completed=done, total=total)

    def finished(self, count: int) -> None:
        """Show ``count`` more edits as done."""
        self.done += count
        self.bars.advance(self.edits, count)
        if self.plain and count:
            rate = self.done / (time.monotonic() - self.began)
            left = (self.ahead - self.done) / rate
            log.info(
                '%d of %d edits, %.2f/min, %s to go',
                self.done,
                self.ahead,
                rate * 60,
                timedelta(seconds=round(left)),
            )
