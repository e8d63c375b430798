"""The reports of studies: tables, images and a page each, from their results alone."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from wtaseg.io import write
from wtaseg.markdown import table_lines
from wtaseg.report import tables
from wtaseg.report.found import draw_found
from wtaseg.report.page import Image, Page, RowSettings, RunLine, render
from wtaseg.report.plots import METRICS, Curve, curve_name, draw_bars, draw_curves, draw_shares, png
from wtaseg.report.summary import Marking, Row, Summary, Table, metric_titles
from wtaseg.runs.layout import ProjectLayout
from wtaseg.runs.records import DONE
from wtaseg.studies.findings import findings
from wtaseg.studies.folds import HELD_OUT, mean_row
from wtaseg.studies.paired import PairedDifferences
from wtaseg.studies.results import StudyRecord, StudyResults
from wtaseg.studies.verdict import difference_table

if TYPE_CHECKING:
    import pandas as pd

# of each failed or unfinished run in a bundle
TAIL_LINES = 25


def tabulate(results: StudyResults, study: StudyRecord) -> Table:
    """The table of a study: means over the seeds of each row."""
    classes, target = results.classes(study), results.found_target(study)
    columns = len(metric_titles(classes, target))
    rows = []
    for record in study.rows:
        values = [run.metrics(classes, target) for run in results.done_runs(record)]
        summaries = [Summary.of(column) for column in zip(*values)]
        summaries = summaries or [Summary.of(())] * columns
        rows.append(Row(record.group, record.label, tuple(summaries), len(values), len(record.runs)))
    if study.marking is Marking.MEAN:
        rows.append(mean_row(study, rows))
    return Table(
        study.columns,
        classes,
        tuple(rows),
        study.marking,
        smoke=study.settings.smoke,
        found_target=target,
        **(dict(tested_on=HELD_OUT) if study.marking is Marking.MEAN else {}),
    )


def draw_images(results: StudyResults, name: str, study: StudyRecord, table: Table) -> list[Image]:
    """Every image that the study has values for."""
    images = []
    several = len({row.group for row in table.measured}) > 1
    labels = [f'{row.group} {row.label}' if several else row.label for row in table.measured]
    if bars := draw_bars(table.measured, labels, table.classes, table.smoke):
        images.append(
            Image(f'{name}_bars.png', png(bars), f'IoU and accuracy on the {table.tested_on}', wide=True)
        )
        if name == 'ratio':
            caption = 'IoU and accuracy on the test set by share of edited images'
            images.append(Image(f'{name}_shares.png', png(draw_shares(table)), caption, wide=True))
    # each model has curves of its own; groups of another kind are compared with each other
    by_model = study.columns[0] == 'Model'
    for group in dict.fromkeys(row.group for row in study.rows) if by_model else ['']:
        rows = [row for row in study.rows if group in ('', row.group)]
        tag = f'_{"".join(c for c in group.lower() if c.isalnum())}' if group else ''
        inspections = [(row.label, results.inspections(row)) for row in rows]
        images += draw_found(inspections, table.classes, f'{name}{tag}_', group, table.tested_on)
        for class_name in table.classes:
            for metric in METRICS:
                curves = [Curve(row.label, results.curve(row, f'{metric}.{class_name}')) for row in rows]
                if figure := draw_curves(curves, class_name, metric, group, table.smoke):
                    caption = f'{group} {metric} of {class_name} on the validation set'.lstrip()
                    file = f'{name}{tag}_{curve_name(class_name, metric)}.png'
                    images.append(Image(file, png(figure), caption))
    return images


def write_report(results: StudyResults, name: str, folder: Path) -> list[Path]:
    """The report of one study: ``<name>.md, .csv, .xlsx, .html`` and ``<name>_*.png``; returns the files.

    Images of an earlier report that have no values any more are deleted.
    """
    study = results.studies[name]
    table = tabulate(results, study)
    sentences = findings(name, results, study, table)
    images = draw_images(results, name, study, table)
    files: dict[str, str | bytes] = {
        f'{name}.md': markdown(study, table, sentences, results.paired.get(name)),
        f'{name}.csv': tables.csv(table),
        **{image.name: image.png for image in images},
        f'{name}.html': render(make_page(results, name, table, sentences, images)),
    }
    try:
        files[f'{name}.xlsx'] = tables.xlsx(table, 'Table', run_frame(results, study, table))
    except ImportError as error:
        print(f'{name}.xlsx is not written: {error}', file=sys.stderr)
    for old in folder.glob(f'{name}_*.png'):
        if old.name not in files and not _is_of_longer_name(old.name, name, results.studies):
            old.unlink()
    for file, content in files.items():
        write(folder / file, content)
    return [folder / file for file in files]


def _is_of_longer_name(file: str, name: str, studies: Iterable[str]) -> bool:
    """Whether the file of a study such as loss_aug only looks like one of ``name``, such as loss."""
    longer = [other for other in studies if other.startswith(f'{name}_')]
    return any(file.startswith(f'{other}_') for other in longer)


def markdown(
    study: StudyRecord, table: Table, sentences: Iterable[str], paired: PairedDifferences | None = None
) -> str:
    """The table with its findings, differences and provenance as Markdown."""
    escape = tables.escape_markdown
    provenance = study.provenance
    seeds = f'; mean ± standard deviation over {study.seeds} seeds.' if study.seeds > 1 else ', one seed.'
    return '\n'.join(
        [
            f'## {escape(study.title)}',
            '',
            escape(study.question),
            '',
            tables.markdown(table),
            f'{table.marking.legend} Percent, {table.tested_on}{seeds}',
            '',
            *(f'- {escape(text)}' for text in sentences),
            '',
            *(difference_lines(paired) if paired else ()),
            f'`{provenance.command}`, commit {escape(provenance.commit)}, {provenance.date}, '
            f'GPU: {escape(provenance.machine.gpus)}, torch {provenance.packages.get("torch", "?")}.',
            '',
        ]
    )


def difference_lines(paired: PairedDifferences) -> list[str]:
    """The differences as the lines of a Markdown table, the last one empty."""
    titles, lines = difference_table(paired)
    escape = tables.escape_markdown
    cells = [[escape(text) for text in line] for line in lines]
    return [*table_lines([escape(title) for title in titles], cells, texts=2), '']


def run_frame(results: StudyResults, study: StudyRecord, table: Table) -> 'pd.DataFrame':
    """Every run of a study with its metrics, a line each."""
    import pandas as pd

    group, label = (title or 'Group' for title in table.columns)
    lines = []
    for row in study.rows:
        for name in row.runs:
            run = results.runs[name]
            metrics = dict(zip(table.metrics, run.metrics(table.classes, table.found_target)))
            ends = {'Status': str(run.status), 'Run': name}
            lines.append({group: row.group, label: row.label, 'Seed': run.seed} | metrics | ends)
    return pd.DataFrame(lines)


# --------------------------------------------------------------------------- the page


def make_page(
    results: StudyResults, name: str, table: Table, sentences: Iterable[str], images: Iterable[Image]
) -> Page:
    """Everything that the page of a study shows."""
    study = results.studies[name]
    common, settings = _settings(results, study)
    train = 'wta-seg train' if study.provenance.command.startswith('wta-seg') else 'python tools/train.py'
    by_hand = (
        '# one of its runs by hand, with the config that was written for it:\n'
        f'{train} work_dirs/{study.settings.project}/study/configs/{study.rows[0].experiment}.py '
        '--cfg-options randomness.seed=0'
    )
    return Page(
        name=name,
        title=study.title,
        question=study.question,
        table=table,
        findings=tuple(sentences),
        differences=_differences(results, name),
        images=tuple(images),
        seeds=study.seeds,
        common_settings=common,
        settings=settings,
        runs=tuple(_run_line(results, run, table) for run in study.run_names),
        commands=(study.provenance.command, by_hand),
        provenance=study.provenance.lines,
    )


def _differences(results: StudyResults, name: str) -> tuple[tuple[str, ...], ...]:
    if name not in results.paired:
        return ()
    titles, lines = difference_table(results.paired[name])
    return tuple(map(tuple, (titles, *lines)))


def _settings(results: StudyResults, study: StudyRecord) -> tuple[tuple[str, ...], tuple[RowSettings, ...]]:
    """The settings that all rows share, and those of each."""
    titles = {row.experiment: row.title for row in reversed(study.rows)}
    records = {row.experiment: results.experiments[row.experiment] for row in study.rows}
    shared = {record.shared for record in records.values()}
    common = [f'--cfg-options {text}' for text in study.settings.cfg_options]
    if len(shared) == 1:
        common = [*shared.pop(), *common]
        return tuple(common), tuple(
            RowSettings(titles[name], f'configs/{record.base}.py', record.changes)
            for name, record in records.items()
        )
    return tuple(common), tuple(
        RowSettings(titles[name], f'configs/{record.base}.py', (*record.shared, *record.changes))
        for name, record in records.items()
    )


def _run_line(results: StudyResults, name: str, table: Table) -> RunLine:
    run = results.runs[name]
    return RunLine.of(
        name=name.rpartition('/')[2],
        status=run.status,
        error=run.error,
        metrics=run.metrics(table.classes, table.found_target),
        checkpoint=run.checkpoint,
        iteration_seconds=run.iteration_seconds,
        memory_mib=run.memory_mib,
        seconds=run.seconds,
    )


# --------------------------------------------------------------------------- the bundle


def write_bundle(
    results: StudyResults, names: Iterable[str], report: Path, project: ProjectLayout | None, folder: Path
) -> None:
    """Copy what is worth keeping into a few small files.

    That is ``results.json``, all tables in ``tables.md``, one page a study, and the last lines of the logs of
    runs that failed or did not end. Without a ``project`` there are no logs.
    """
    names = list(names)
    for file in ('results.json', *(f'{name}.html' for name in names)):
        write(folder / file, (report / file).read_bytes())
    write(folder / 'tables.md', '\n'.join((report / f'{name}.md').read_text('utf-8') for name in names))
    write(folder / 'logs.txt', _log_ends(results, project))


def _log_ends(results: StudyResults, project: ProjectLayout | None) -> str:
    parts = []
    for name, run in results.runs.items():
        if run.status == DONE:
            continue
        parts.append(f'== {name}: {run.status} {run.error or ""}')
        layout = project.run(name) if project else None
        for log in (layout.job_log, layout.train_log) if layout else ():
            if log.is_file():
                lines = log.read_text(encoding='utf-8', errors='replace').splitlines()[-TAIL_LINES:]
                parts += [f'-- {log.name}', *lines]
    return '\n'.join(parts or ['Every run is done.']) + '\n'
