"""One HTML page that holds everything about a study or a project: table, images, settings, commands, provenance.

It opens without network, has no script, follows the reader's light or dark mode and is readable on a phone. The
page is ``templates/page.html.j2``; this module holds the data it shows.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wtaseg.report.summary import MISSING, Table
from wtaseg.report.templating import environment


@dataclass(frozen=True)
class Image:
    """A PNG on the page.

    Attributes:
        name: of the file.
        png: its content.
        caption: what it shows.
        wide: takes the whole width of the page.
    """

    name: str
    png: bytes
    caption: str
    wide: bool = False

    @property
    def uri(self) -> str:
        """The image as a ``data:`` address."""
        return 'data:image/png;base64,' + base64.b64encode(self.png).decode('ascii')


@dataclass(frozen=True)
class RowSettings:
    """What a row of the table was trained with.

    Attributes:
        title: of the row.
        config: its config.
        changes: what differs from the config, a line each.
    """

    title: str
    config: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunLine:
    """One run in the list of all runs, as texts."""

    name: str
    status: str
    metrics: tuple[str, ...]
    checkpoint: str
    iteration_seconds: str
    memory_mib: str
    seconds: str

    @classmethod
    def of(
        cls,
        name: str,
        status: str,
        metrics: Sequence[float],
        error: str | None = None,
        checkpoint: str | None = None,
        iteration_seconds: float | None = None,
        memory_mib: float | None = None,
        seconds: float | None = None,
    ) -> 'RunLine':
        """From numbers; None and NaN are printed as a dash."""
        return cls(
            name=name,
            status=f'{status}: {error}' if error else status,
            metrics=tuple(as_text(value, '.2f') for value in metrics),
            checkpoint=(checkpoint or MISSING).rpartition('/')[2],
            iteration_seconds=as_text(iteration_seconds, 'g'),
            memory_mib=as_text(memory_mib, 'g'),
            seconds=as_text(seconds, 'g'),
        )


def as_text(value: float | None, form: str) -> str:
    """A number in a format of :func:`format`; a dash for None and NaN."""
    return MISSING if value is None or math.isnan(value) else format(value, form)


@dataclass(frozen=True)
class Page:
    """Everything that a page shows.

    Attributes:
        name: of the study, as the command line has it, or of the project.
        title: heading.
        table: results.
        question: what a study asks.
        findings: sentences.
        differences: a second table, of texts: its titles and then its lines; empty: none.
        images: bars, curves, overlays.
        seeds: runs of each row of a study; None for a project, where each row is a run.
        common_settings: settings that all rows share beside their config.
        settings: of each row.
        runs: every run.
        commands: shell commands that make the results.
        provenance: where the results come from, by heading.
    """

    name: str
    title: str
    table: Table
    question: str = ''
    findings: tuple[str, ...] = ()
    differences: tuple[tuple[str, ...], ...] = ()
    images: tuple[Image, ...] = ()
    seeds: int | None = None
    common_settings: tuple[str, ...] = ()
    settings: tuple[RowSettings, ...] = ()
    runs: tuple[RunLine, ...] = ()
    commands: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)


def render(page: Page) -> str:
    """The page's HTML."""
    return environment().get_template('page.html.j2').render(page=page)
