"""One HTML page that holds everything about a study: table, findings, images, settings, commands, provenance.

It opens without network, has no script, follows the reader's light or dark mode and is readable on a phone. The
page is ``templates/page.html.j2``; this module holds the data it shows.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from wtaseg.report.summary import Table
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
    """What one row of the table was trained with: its config, and what differs from it, a line each."""

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


@dataclass(frozen=True)
class Page:
    """Everything that a page shows.

    Attributes:
        name: of the study, as the command line has it.
        title: heading.
        question: what the study asks.
        table: results.
        findings: sentences.
        images: bars and curves.
        seeds: runs of each row.
        smoke: the runs were trials of a few iterations.
        common_settings: settings that all rows share beside their config.
        settings: of each row.
        runs: every run.
        commands: shell commands that make the results.
        provenance: where the results come from, by heading.
    """

    name: str
    title: str
    question: str
    table: Table
    findings: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    seeds: int = 1
    smoke: bool = False
    common_settings: tuple[str, ...] = ()
    settings: tuple[RowSettings, ...] = ()
    runs: tuple[RunLine, ...] = ()
    commands: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)


def render(page: Page) -> str:
    """The page's HTML."""
    return environment().get_template('page.html.j2').render(page=page)
