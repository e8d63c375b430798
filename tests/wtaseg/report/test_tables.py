"""Tables in every format, with texts that a format could take for its own syntax."""

import csv
import io
from dataclasses import replace

import openpyxl
import pandas as pd
import pytest

from wtaseg.report import tables
from wtaseg.report.page import Page, render
from wtaseg.report.summary import Mark, Marking, Row, Summary, Table, mark_cells

HOSTILE = ['=1+1', '+1', '-1', '@SUM(A1)', 'a|b', '<script>alert(1)</script>', '*bold* _it_ `c`', '"x", y']


@pytest.fixture
def table():
    """A row for each hostile text, as group and as label."""
    values = tuple(Summary.of([value]) for value in (1.0, 2.0, 1.0, 2.0))
    rows = tuple(Row(text, text, values) for text in HOSTILE)
    return Table(('=Group', 'Label|'), ('at<t>',), rows, Marking.BEST, over_seeds=False)


def test_markdown_shows_texts_as_they_are(table):
    lines = tables.markdown(table).splitlines()
    assert len(lines) == 2 + len(HOSTILE)
    # unescaped bars separate cells: as many in every line
    assert {line.count('|') - line.count('\\|') for line in lines} == {7}
    body = '\n'.join(lines[2:])
    assert '| a\\|b |' in body and '\\<script\\>' in body and '\\*bold\\* \\_it\\_ \\`c\\`' in body
    assert tables.escape_markdown('run_of_words\nγ=2') == 'run_of_words γ=2'


def test_csv_has_no_formula_and_reads_back(table):
    rows = list(csv.reader(io.StringIO(tables.csv(table))))
    assert rows[0][:2] == ["'=Group", 'Label|']
    for row, text in zip(rows[1:], HOSTILE, strict=True):
        assert row[0] == row[1] == (f"'{text}" if text[0] in '=+-@' else text)
        assert row[2:] == ['1.00', '2.00', '1.00', '2.00']


def test_workbook_has_no_formula_and_keeps_the_texts(table):
    runs = pd.DataFrame({'Run': HOSTILE, 'IoU': [1.5] * len(HOSTILE)})
    book = openpyxl.load_workbook(io.BytesIO(tables.xlsx(table, runs=runs)))
    assert book.sheetnames == ['Results', 'Runs']
    for sheet in book:
        cells = [cell for row in sheet.iter_rows() for cell in row]
        assert {cell.data_type for cell in cells} == {'s', 'n'}
        assert all(cell.quotePrefix for cell in cells if str(cell.value)[0] in '=+@')
        assert sheet.freeze_panes == 'C2' and sheet['A1'].font.bold
    assert [cell.value for cell in book['Results']['B'][1:]] == HOSTILE
    assert [cell.value for cell in book['Runs']['A'][1:]] == HOSTILE
    assert book['Results'].column_dimensions['A'].width == len(HOSTILE[5]) + 2


def test_html_shows_texts_as_they_are(table):
    html = tables.html(table)
    assert '<script' not in html and '&lt;script&gt;alert(1)' in html and 'At&lt;t&gt; IoU' in html


def test_missing_values_have_no_number():
    rows = (
        Row('a', 'some', tuple(Summary.of([value]) for value in (40, float('nan'), 40.125, None))),
        Row('a', 'none', tuple(Summary.of([]) for _ in range(4)), runs=0, expected_runs=3),
    )
    table = Table(('Model', 'Data'), ('x',), rows, Marking.BEST_SECOND)
    assert '| **a** | some | 40.00 | – | 40.125 | – |' in tables.markdown(table)
    assert '|  | none (0 of 3 runs) | – | – | – | – |' in tables.markdown(table)
    assert tables.csv(table).splitlines()[1:] == ['a,some,40.0,,,,40.125,,,,1', 'a,none,,,,,,,,,0']
    sheet = openpyxl.load_workbook(io.BytesIO(tables.xlsx(table))).active
    assert [cell.value for cell in sheet[3]] == ['a', 'none', *[None] * 8, 0]


def test_marks_compare_what_is_printed():
    values = pd.DataFrame([[3.0, 5.0, 0.0, 1.0], [3.0, 4.0, 0.0, None], [1.0, 0.0, 2.0, None]])
    best, second, none = str(Mark.BOLD), str(Mark.ITALIC), ''
    marks = mark_cells(values, 'abb', Marking.BEST_SECOND).to_numpy().tolist()
    assert marks == [[best, best, none, none], [best, second, none, none], [second, none, best, none]]
    # group a has one row, which has nothing to be compared with
    marks = mark_cells(values, 'abb', Marking.BEST_IN_GROUP).to_numpy().tolist()
    assert marks == [[none] * 4, [best, best, none, none], [none, none, best, none]]
    marks = mark_cells(values, 'abb', Marking.AGAINST_FIRST).to_numpy().tolist()
    assert marks == [[none] * 4, [none, second, none, none], [second, second, best, none]]
    assert mark_cells(values.iloc[:0], '', Marking.BEST).empty


def test_a_smoke_run_says_so_in_every_format(table):
    smoke = replace(table, smoke=True)
    book = openpyxl.load_workbook(io.BytesIO(tables.xlsx(smoke)))
    texts = {
        'md': tables.markdown(smoke).splitlines()[0],
        'csv': tables.csv(smoke).splitlines()[1],
        'xlsx': ' '.join(str(cell.value) for cell in book['Results'][2]),
        'html': render(Page('name', 'title', smoke)),
    }
    for kind, text in texts.items():
        assert 'results mean nothing' in text, kind
    assert 'results mean nothing' not in tables.markdown(table) + tables.csv(table) + render(
        Page('n', 't', table)
    )


def test_a_deviation_may_stand_below_its_mean():
    """So that the table of four classes fits a page of 1200 pixels."""
    row = Row('Fast-SCNN', 'Original', tuple(Summary.of([1.0 + i, 2.0 + i]) for i in range(10)))
    text = tables.html(Table(('Model', 'Trained on'), ('a', 'b', 'c', 'd'), (row,), Marking.BEST))
    assert text.count('<span class="sd">± 0.71</span>') == 10 and '1.50 <span' in text
