"""Writes the reports of studies: tables, pictures and a page each, from what has been collected."""

import sys
from collections.abc import Iterable
from pathlib import Path

from wtaseg.io import write
from wtaseg.report.page import render
from wtaseg.report.study_plots import draw_all
from wtaseg.report.study_table import StudyTable

from .findings import findings

# of each failed or unfinished run in a bundle
TAIL_LINES = 25


def write_report(results: dict, name: str, folder: Path) -> list[Path]:
    """The report of one study: ``<name>.md, .csv, .xlsx, .html`` and ``<name>_*.png``; returns the files.

    Pictures of an earlier report that have no figures any more are taken away.
    """
    study = results['studies'][name]
    table = StudyTable(results, study)
    said = findings(name, results, study, table)
    pictures = draw_all(results, name, study)
    files = {
        f'{name}.md': markdown(name, study, table, said),
        f'{name}.csv': table.csv(),
        **pictures,
        f'{name}.html': render(results, name, study, table, said, pictures),
    }
    try:
        files[f'{name}.xlsx'] = table.xlsx(results, study)
    except ImportError as error:
        print(f'{name}.xlsx is not written: {error}', file=sys.stderr)
    for old in folder.glob(f'{name}_*.png'):
        if old.name not in files and _belongs(old.name, name, results):
            old.unlink()
    for file, content in files.items():
        write(folder / file, content)
    return [folder / file for file in files]


def _belongs(file: str, name: str, results: dict) -> bool:
    """Whether no study of a longer name, as loss_aug, owns the file."""
    longer = [other for other in results['studies'] if other != name and other.startswith(f'{name}_')]
    return not any(file.startswith(f'{other}_') for other in longer)


def markdown(name: str, study: dict, table: StudyTable, said: Iterable[str]) -> str:
    """The table with its findings and provenance as Markdown."""
    provenance = study['provenance']
    seeds = max((line.wanted for line in table.lines), default=0)
    return '\n'.join(
        [
            f'## {study["title"]}',
            '',
            study['question'],
            '',
            table.markdown(),
            f'{table.legend(study["marks"])} Percent, test set'
            + (f'; mean ± standard deviation over {seeds} seeds.' if seeds > 1 else ', one seed.'),
            '',
            *(f'- {text}' for text in said),
            '',
            f'`{provenance["command"]}`, commit {provenance["commit"]}, {provenance["date"]}, '
            f'GPU: {provenance["machine"]["gpus"]}, torch {provenance["packages"].get("torch", "?")}.',
            '',
        ]
    )


def write_bundle(results: dict, names: Iterable[str], report: Path, project: Path, folder: Path) -> None:
    """What is worth taking off the machine, in a few small files.

    That is ``results.json``, all tables in ``tables.md``, one page a study, and the last lines of the logs of
    runs that failed or did not end.
    """
    names = list(names)
    for file in ('results.json', *(f'{name}.html' for name in names)):
        write(folder / file, (report / file).read_bytes())
    write(folder / 'tables.md', '\n'.join((report / f'{name}.md').read_text('utf-8') for name in names))
    write(folder / 'logs.txt', _log_tails(results, project))


def _log_tails(results: dict, project: Path) -> str:
    parts = []
    for name, run in results['runs'].items():
        if run['status'] == 'done':
            continue
        parts.append(f'== {name}: {run["status"]} {run["error"] or ""}')
        for log in (project / 'job' / name / 'job.log', project / 'job' / name / 'train_log.txt'):
            if log.is_file():
                lines = log.read_text(encoding='utf-8', errors='replace').splitlines()[-TAIL_LINES:]
                parts += [f'-- {log.name}', *lines]
    return '\n'.join(parts or ['Every run is done.']) + '\n'
