"""A table as Markdown, CSV, XLSX and HTML, in the layout of the published tables.

Every text is escaped for the format it is written in: names of runs and classes may hold anything.
"""

import io
import re

import pandas as pd

from wtaseg.markdown import table_lines
from wtaseg.report.summary import MISSING, SMOKE_NOTE, Mark, Table, decimals
from wtaseg.report.templating import environment

MARKDOWN = {Mark.BOLD: '**{}**', Mark.ITALIC: '_{}_', Mark.NONE: '{}'}
# a spreadsheet takes a text that begins with one of these for a formula
FORMULA = ('=', '+', '-', '@', '\t', '\r')
# control characters that XML, and so a workbook, can't hold
UNPRINTABLE = re.compile(r'[\x00-\x08\x0b\x0c\x0e-\x1f]')
MAX_WIDTH = 60


# --------------------------------------------------------------------------- Markdown and HTML


def markdown(table: Table) -> str:
    """The table as Markdown, with notes on missing values and runs below it."""
    arrow = ' ↑' if table.over_seeds else ''
    header = [
        *map(escape_markdown, table.columns),
        *(f'{escape_markdown(name)}{arrow}' for name in table.metrics),
    ]
    lines = [f'**{SMOKE_NOTE.capitalize()}.**', ''] if table.smoke else []
    rows = []
    for row in table.printed():
        group = f'**{escape_markdown(row.group)}**' if row.group else ''
        cells = [MARKDOWN[cell.mark].format(cell.text) for cell in row.cells]
        rows.append([group, escape_markdown(row.title), *cells])
    lines += table_lines(header, rows, texts=2)
    if table.validated:
        lines += ['', 'Validation set, best validation of each run: none has been tested yet.']
    if not table.over_seeds and any(cell.text == MISSING for row in table.printed() for cell in row.cells):
        lines += ['', '–: the test set has no pixel of this class; it is left out of the means.']
    if table.unfinished:
        names = ', '.join(f'`{name.replace("`", "")}`' for name in table.unfinished)
        lines += ['', f'Without test results yet: {names}.']
    return '\n'.join(lines) + '\n'


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, in a table's cell as well."""
    text = re.sub(r'([\\`*|<>\[\]&])', r'\\\1', ' '.join(text.split()))
    # an underscore within a word, as in most names of runs, is no markup
    return re.sub(r'(?<!\w)_|_(?!\w)', r'\\_', text)


def html(table: Table) -> str:
    """The table as an HTML fragment."""
    return environment().get_template('table.html.j2').render(table=table)


# --------------------------------------------------------------------------- CSV and XLSX


def numbers(table: Table) -> pd.DataFrame:
    """The table with a column for each number; NaN: not measured."""
    columns = [title or 'Group' for title in table.columns]
    data = {columns[0]: [row.group for row in table.rows], columns[1]: [row.label for row in table.rows]}
    for index, metric in enumerate(table.metrics):
        data[metric] = [table.rounded(row, index) for row in table.rows]
        if table.over_seeds:
            summaries = [row.summaries[index] for row in table.rows]
            data[f'{metric} SD'] = [round(summary.std, decimals(metric, summary)) for summary in summaries]
    if table.smoke:
        data['Note'] = [SMOKE_NOTE] * len(table.rows)
    if table.over_seeds:
        data['Runs'] = [row.runs for row in table.rows]
    return pd.DataFrame(data)


def csv(table: Table) -> str:
    """The table as CSV, one header line; what was not measured is empty."""
    frame = numbers(table)
    if not table.over_seeds:
        for metric in table.metrics:
            frame[metric] = [table.text(row, metric).replace(MISSING, '') for row in table.rows]
    texts = frame.columns[:2]
    frame[texts] = frame[texts].map(guard_formula)
    frame.columns = [guard_formula(title) for title in frame.columns]
    return frame.to_csv(index=False, lineterminator='\n')


def guard_formula(text: str) -> str:
    """Text with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def xlsx(table: Table, title: str = 'Results', runs: pd.DataFrame | None = None) -> bytes:
    """The table and, on a second sheet, every run, as a workbook of numbers.

    Args:
        table: what the first sheet shows.
        title: name of the first sheet.
        runs: content of a sheet ``Runs``.

    Raises:
        ImportError: openpyxl is not installed.
    """
    try:
        from openpyxl.styles import Font
    except ImportError as error:
        raise ImportError(
            "the workbook needs openpyxl; install the extra: pip install -e '.[table]'"
        ) from error
    stream = io.BytesIO()
    with pd.ExcelWriter(stream, engine='openpyxl') as writer:
        _write_sheet(writer, title, numbers(table))
        step = 2 if table.over_seeds else 1
        for cells, marks in zip(writer.sheets[title].iter_rows(min_row=2), table.marks):
            for cell, mark in zip(cells[2::step], marks):
                if mark:
                    cell.font = Font(bold=mark is Mark.BOLD, italic=mark is Mark.ITALIC)
        if runs is not None:
            _write_sheet(writer, 'Runs', runs)
    return stream.getvalue()


def _write_sheet(writer: pd.ExcelWriter, title: str, frame: pd.DataFrame) -> None:
    from openpyxl.styles import Font

    frame = frame.rename(columns=_printable).map(
        lambda value: _printable(value) if isinstance(value, str) else value
    )
    frame.to_excel(writer, sheet_name=title, index=False)
    sheet = writer.sheets[title]
    for cell in sheet[1]:
        cell.style = 'Normal'  # without the borders that pandas draws
        cell.font = Font(bold=True)
    for cells in sheet.iter_rows():
        for cell in cells:
            if cell.value == '':
                cell.value = None
            elif isinstance(cell.value, str) and cell.value.startswith(FORMULA):
                # text, and still text after somebody has edited the cell
                cell.data_type, cell.quotePrefix = 's', True
    for column in sheet.columns:
        width = max(len('' if cell.value is None else str(cell.value)) for cell in column)
        sheet.column_dimensions[column[0].column_letter].width = min(MAX_WIDTH, width + 2)
    sheet.freeze_panes = 'C2'


def _printable(text: str) -> str:
    return UNPRINTABLE.sub('', text)
