"""Tables, findings and the page of a study, from made-up results."""

import io
import json
import re

import openpyxl
import pytest
from browser import browse, needs_browser
from study_helpers import PUBLISHED, ROOT, made_up_results

from wtaseg.cli.study import main
from wtaseg.report import tables
from wtaseg.report.summary import Marking
from wtaseg.studies.findings import findings, word_selection
from wtaseg.studies.report import difference_lines, run_frame, tabulate
from wtaseg.studies.results import StudyResults, load, save

# README, Table 2: its bold and italic cells are what the marks must give
TABLE_2 = {
    ('Original', 'Focal Loss'): [(44.34, 61.05, 22.33, 36.31)],
    ('Original', 'Tversky Loss'): [(41.29, 57.77, 19.25, 26.29)],
    ('Original', 'Focal + Tversky Loss'): [(24.11, 77.2, 21.31, 42.35)],
}
VALIDATIONS = {
    step: {'IoU.attached': step / 4, 'Acc.attached': 40.0, 'IoU.broken': 9.0, 'Acc.broken': 1.0}
    for step in (40, 80)
}


def table_of(results, name='losses'):
    return tabulate(results, results.studies[name])


def marks_of(table, columns=4):
    """The marks of the first metrics, by row."""
    return [[str(mark) for mark in marks[:columns]] for marks in table.marks]


def test_one_seed_looks_like_the_published_table():
    table = table_of(made_up_results(TABLE_2, Marking.BEST_SECOND))
    lines = tables.markdown(table).splitlines()
    assert lines[0] == (
        '| Dataset | Loss Func. | Attached IoU ↑ | Attached Acc ↑ | Broken IoU ↑ | Broken Acc ↑ | mIoU ↑ | mAcc ↑ |'
    )
    assert lines[2] == (
        '| **Original** | Focal Loss | **44.34** | _61.05_ | **22.33** | _36.31_ | **33.335** | _48.68_ |'
    )
    assert lines[4].startswith(
        '|  | Focal + Tversky Loss | 24.11 | **77.20** | _21.31_ | **42.35** | 22.71 |'
    )


def test_several_seeds_give_mean_and_sample_deviation():
    seeds = [(10, 20, 30, 40), (12, 20, 30, 40), (14, 20, 30, 40)]
    table = table_of(
        made_up_results(
            {('Original', 'A'): seeds, ('Original', 'B'): [*seeds[:2], None]}, Marking.BEST_SECOND
        )
    )
    # 10, 12, 14: mean 12, squares of the differences 4 + 0 + 4 over n - 1 = 2
    assert table.text(table.rows[0], 'Attached IoU') == '12.00 ± 2.00'
    assert table.rows[1].title == 'B (2 of 3 runs)'
    # 10, 12: mean 11, deviation sqrt(2)
    assert table.text(table.rows[1], 'Attached IoU') == '11.00 ± 1.41'
    assert tables.csv(table).splitlines()[1].startswith('Original,A,12.0,2.0,20.0,0.0,')
    empty = made_up_results({}, Marking.BEST_SECOND)
    sentences = findings('losses', empty, empty.studies['losses'], table)
    assert sentences[0].startswith('1 of 6 runs have no test results yet')


def test_nothing_found_is_never_second():
    rows = {('Original', name): [(10 * i, 5, 0, 0)] for i, name in enumerate('AB')}
    rows['Original', 'C'] = [(20, 6, 3, 4)]
    assert marks_of(table_of(made_up_results(rows, Marking.BEST_SECOND))) == [
        ['', 'italic', '', ''],
        ['italic', 'italic', '', ''],
        ['bold'] * 4,
    ]


def test_workbook_holds_numbers_marks_and_every_run():
    results = made_up_results(TABLE_2, Marking.BEST_SECOND)
    table = table_of(results)
    runs = run_frame(results, results.studies['losses'], table)
    book = openpyxl.load_workbook(io.BytesIO(tables.xlsx(table, 'Table', runs)))
    sheet = book['Table']
    assert sheet['C1'].value == 'Attached IoU' and sheet['C2'].value == 44.34 and sheet['C2'].font.bold
    assert sheet['E2'].font.italic and not sheet['C3'].font.bold
    assert book['Runs'].max_row == 4


def test_marks_within_a_group_and_against_the_original():
    rows = {
        ('A', 'w/ Augmented'): [(2, 2, 2, 2)],
        ('A', 'Original'): [(1, 3, 2, 1)],
        ('B', 'Original'): [(9, 9, 9, 9)],
    }
    table = table_of(made_up_results(rows, Marking.BEST_IN_GROUP, columns=('Model', 'Trained on')))
    # a tie is nobody's best, and group B has nothing to compare with
    assert marks_of(table) == [
        ['bold', '', '', 'bold'],
        ['', 'bold', '', ''],
        ['', '', '', ''],
    ]
    rows = {(name, name): [values[:4]] for name, values in PUBLISHED.items()}
    table = table_of(made_up_results(rows, Marking.AGAINST_FIRST))
    marks = {row.label: marks for row, marks in zip(table.rows, marks_of(table, 6))}
    # README, Table 4 prints exactly these in italics
    assert [i for i, mark in enumerate(marks['blistering']) if mark == 'italic'] == [2]
    assert [i for i, mark in enumerate(marks['dent']) if mark == 'italic'] == [3]
    assert set(marks['peeling']) == {'bold'} and set(marks['Original']) == {''}


def test_word_study_prints_the_selection_of_the_published_table():
    rows = {(name, name): [values[:4]] for name, values in PUBLISHED.items()}
    table = table_of(made_up_results(rows, Marking.AGAINST_FIRST, 'words'), 'words')
    selection, reasons = word_selection(table)
    assert selection.word == 'peeling' and reasons[-1] == 'Chosen: peeling.'
    rows[('rust', 'rust')] = [None]
    assert word_selection(table_of(made_up_results(rows, Marking.AGAINST_FIRST, 'words'), 'words'))[1][
        -1
    ] == ('Not measured, and so not compared: rust.')


def test_a_lead_is_weighed_against_the_spread_of_the_seeds():
    near = {
        ('o', 'A'): [(10, 10, 10, 10), (20, 20, 20, 20)],
        ('o', 'B'): [(11, 11, 11, 11), (18, 18, 18, 18)],
    }
    far = {
        ('o', 'A'): [(50, 10, 50, 10), (50.2, 10, 50, 10)],
        ('o', 'B'): [(11, 11, 11, 11), (11.2, 11, 11, 11)],
    }
    for rows, expected in ((near, 'not clearly more'), (far, 'more than seeds explain')):
        results = made_up_results(rows, Marking.BEST_SECOND)
        sentences = findings('losses', results, results.studies['losses'], table_of(results))
        assert sentences[0].startswith('Highest mIoU: A') and expected in sentences[0]


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    """A report made by ``--report-only --from``, with one run left out and markup in its texts."""
    tmp_path = tmp_path_factory.mktemp('report')
    rows = {**TABLE_2, ('Original', 'Dice & <b>more</b>'): [None]}
    results = made_up_results(rows, Marking.BEST_SECOND, validations=VALIDATIONS)
    source = tmp_path / 'results.json'
    save(results, source)
    assert main(['--report-only', '--from', str(source), '--out', str(tmp_path / 'out')]) == 1
    return tmp_path / 'out'


def test_report_of_unfinished_runs_says_so(report):
    images = {path.name for path in report.glob('*.png')}
    assert images == {
        'losses_bars.png',
        *(f'losses_{name}_{kind}.png' for name in ('attached', 'broken') for kind in ('iou', 'acc')),
    }
    assert '1 of 4 runs have no test results yet' in (report / 'losses.md').read_text()
    assert '(0 of 1 runs)' in (report / 'losses.md').read_text()


def test_page_holds_everything_and_asks_for_nothing(report):
    page = (report / 'losses.html').read_text()
    assert '<script' not in page and not re.findall(r'(?:src|href|url)\s*[=(]\s*"?(?!data:)[\w/]', page)
    assert 'Dice &amp; &lt;b&gt;more' in page and 'Which &lt;is&gt; best?' in page
    for text in (
        'python tools/study.py losses',
        'c0ffee',
        'attached 0.2000 %',
        'torch 2.11',
        'configs/net/base.py',
    ):
        assert text in page


@needs_browser
@pytest.mark.parametrize('width', [1200, 500])
def test_page_in_a_browser(report, tmp_path, width):
    """Chromium without network renders every image, and nothing but tables and code is wider than the window."""
    page = report / 'losses.html'
    probe = (
        '<script>addEventListener("load", () => document.title = JSON.stringify({'
        'images: [...document.images].map(i => i.complete && i.naturalWidth), '
        'rows: document.querySelectorAll("table")[0].tBodies[0].rows.length, '
        'widths: [...document.images].map(i => i.getBoundingClientRect().width), '
        'page: document.documentElement.scrollWidth, window: innerWidth, '
        'paper: getComputedStyle(document.body).backgroundColor}))</script>'
    )
    probed = tmp_path / 'probed.html'
    probed.write_text(page.read_text().replace('</body>', f'{probe}</body>'))
    seen = {}
    for mode in ('light', 'dark'):
        dark = ['--blink-settings=preferredColorScheme=0'] if mode == 'dark' else []
        dom = browse(tmp_path, [*dark, f'--window-size={width},900', '--dump-dom', probed.as_uri()])
        seen[mode] = json.loads(re.search(r'<title>(.*?)</title>', dom, re.DOTALL).group(1))
    for page in seen.values():
        assert len(page['images']) == 5 and all(width > 500 for width in page['images'])
        assert page['rows'] == 4
        assert page['page'] <= page['window'] and all(150 < w <= page['window'] for w in page['widths'])
    assert seen['light']['paper'] == 'rgb(255, 255, 255)' and seen['dark']['paper'] == 'rgb(21, 24, 28)'


@pytest.mark.parametrize('file', sorted((ROOT / 'docs').glob('rendered_*.json')), ids=lambda file: file.stem)
def test_published_tables_are_those_of_the_published_runs(file):
    results = load(file)
    text = (ROOT / 'docs/studies.md').read_text(encoding='utf-8')
    assert f'({file.name})' in text and any(run.status == 'done' for run in results.runs.values())
    for name in results.studies:
        assert tables.markdown(table_of(results, name)).strip() in text
    if 'pays' in results.paired:
        assert '\n'.join(difference_lines(results.paired['pays'])).strip() in text


def test_all_runs_of_the_losses_are_published():
    results = load(ROOT / 'docs/rendered_studies.json')
    assert set(results.studies) == {'losses', 'gamma', 'imbalance'}
    assert len(results.runs) == 45 and {run.status for run in results.runs.values()} == {'done'}


def test_results_survive_their_file(tmp_path):
    published = ROOT / 'docs/rendered_studies.json'
    results = load(published)
    # earlier versions named the means over the classes after the normal class
    first = next(iter(results.runs.values())).validations[480]
    assert {'foreground_mIoU', 'foreground_mAcc', 'IoU.broken'} <= set(first)
    save(results, tmp_path / 'again.json')
    assert load(tmp_path / 'again.json') == results
    before, after = (json.loads(path.read_text()) for path in (published, tmp_path / 'again.json'))
    assert before['studies'] == after['studies'] and before['variants'] == after['variants']
    seen = made_up_results({('a', 'b'): [(float('nan'), 1, 2, 3), None]}, Marking.BEST_SECOND)
    assert StudyResults.from_json(seen.to_json()).to_json() == seen.to_json()
    assert seen.to_json()['runs']['net/ab-seed0']['scores']['attached'] == [None, 1.0]


@pytest.mark.parametrize(
    'change, message',
    [
        ({'format': 7}, 'format 7, expected 1'),
        ({'runs': {'a': {'seed': 0}}}, "the field 'scores' is missing"),
        ({'runs': 5}, 'expected the results.json of a study'),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, change, message):
    content = made_up_results({}, Marking.BEST_SECOND).to_json() | change
    (tmp_path / 'results.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path / 'results.json')
    assert str(tmp_path) in str(caught.value)
