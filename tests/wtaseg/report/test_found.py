"""Defects found at the operating point: columns of the tables and curves."""

import json
import re

import numpy as np
import pytest
from recorded_project import metrics_of, write_run
from study_helpers import made_up_results

from wtaseg.report import tables
from wtaseg.report.command import ProjectReport
from wtaseg.report.found import AXIS, best_found, draw_found
from wtaseg.report.project import tabulate
from wtaseg.report.summary import Marking
from wtaseg.runs.inspection import MOST_FALSE_ALARMS, ClassInspection, Inspection, best_steps
from wtaseg.runs.records import read_project
from wtaseg.studies import report as study_report
from wtaseg.studies.results import StudyResults
from wtaseg.studies.study_run import StudyRun


def inspection(attached, broken, target=0.1):
    """The content of an ``inspection.json`` of three thresholds; a tested checkpoint without a point: target None."""
    classes = {
        name: dict(found=dict(all=[90.0, 60.0, 20.0], to5=[80.0, 40.0, 0.0]), false_alarms=[3.0, 0.5, 0.05])
        for name in ('attached', 'broken')
    }
    at = {
        name: dict(found=value, false_alarms=0.08)
        for name, value in (('attached', attached), ('broken', broken))
    }
    return dict(
        thresholds=[0.2, 0.5, 0.8],
        classes=classes,
        operating_point=None if target is None else dict(target=target),
        at_operating_point={} if target is None else at,
    )


@pytest.fixture
def project(tmp_path):
    """Two runs with an operating point, one without, and one of an earlier version."""
    path = tmp_path / 'final'
    results = {'one': inspection(40.0, 70.5), 'two': inspection(60.25, 10.0), 'three': inspection(0, 0, None)}
    for name in (*results, 'old'):
        run = write_run(path, f'{name}/net', metrics_of([99, 30, 20], [99, 40, 30]))
        if name in results:
            (file,) = run.glob('test/*/*.json')
            (file.parent / 'inspection.json').write_text(json.dumps(results[name]))
    return path


def test_columns_of_a_project(project):
    table = tabulate(read_project(project))
    assert table.metrics[-2:] == ('Attached found at 0.1 FA/image', 'Broken found at 0.1 FA/image')
    texts = {tuple(table.text(row, metric) for metric in table.metrics[-2:]) for row in table.rows}
    assert texts == {('40.00', '70.50'), ('60.25', '10.00'), ('–', '–')}
    assert '| **60.25** |' in tables.markdown(table)


def test_no_columns_without_operating_points(tmp_path):
    write_run(tmp_path / 'p', 'a/net', metrics_of([99, 30, 20], [99, 40, 30]))
    assert tabulate(read_project(tmp_path / 'p')).metrics[-1] == 'mAcc'


def test_a_damaged_file_is_reported_and_skipped(project, capsys):
    (file,) = (project / 'exp/one/net').glob('test/*/inspection.json')
    file.write_text('{"classes": 3')
    by_name = {run.name: run for run in read_project(project)}
    assert by_name['one/net'].inspection is None and by_name['one/net'].finished
    assert f'{file}: not read' in capsys.readouterr().err


def test_report_writes_curves_and_a_page(project):
    report = ProjectReport.read(project)
    report.write(('curves', 'page'), project)
    assert (project / 'curves/broken_found.png').stat().st_size > 5000
    assert 'Broken found at 0.1 FA/image' in (project / 'results.html').read_text()


def test_best_found_is_the_highest_within_the_allowed_false_alarms():
    # numbers found need not fall with the threshold
    steps = best_steps((10.0, 90.0, 60.0, 70.0, 95.0), (4.0, 2.0, 0.5, 0.02, MOST_FALSE_ALARMS + 1))
    assert steps == ((0.02, 70.0), (2.0, 90.0))
    result = ClassInspection({'all': steps})
    values = best_found(result, 'all')
    for allowed, expected in ((0.011, 0.0), (0.03, 70.0), (1.0, 70.0), (2.5, 90.0), (9.0, 90.0)):
        assert values[np.searchsorted(AXIS, allowed)] == expected
    assert np.isnan(best_found(result, 'to5')).all()


def test_no_curve_without_results():
    assert draw_found([('a', [])], ['broken']) == []
    one = Inspection({'broken': ClassInspection({'all': ((0.5, 1.0),)})})
    assert [image.name for image in draw_found([('a', [one]), ('b', [])], ['attached', 'broken'])] == [
        'broken_found.png'
    ]


def test_columns_and_curves_of_a_study_are_means_over_the_seeds(project, tmp_path):
    rows = {('', 'A'): [(1, 2, 3, 4)] * 2, ('', 'B'): [(1, 2, 3, 4)]}
    results = made_up_results(rows, Marking.BEST)
    study = results.studies['losses']
    runs = {run.name: run for run in read_project(project)}
    for name, record in zip(results.runs, (runs['one/net'], runs['two/net'], runs['old/net'])):
        measured = StudyRun.of(record, 0)
        results.runs[name] = StudyRun.from_json(json.loads(json.dumps(measured.to_json())))
    table = study_report.tabulate(StudyResults.from_json(results.to_json()), study)
    assert [table.text(row, 'Attached found at 0.1 FA/image') for row in table.rows] == [
        '50.12 ± 14.32',
        '–',
    ]

    # from results.json alone, as with --report-only
    folder = tmp_path / 'report'
    files = study_report.write_report(StudyResults.from_json(results.to_json()), 'losses', folder)
    assert {path.name for path in files} >= {'losses_attached_found.png', 'losses_broken_found.png'}
    page = (folder / 'losses.html').read_text()
    (explanation,) = re.findall(r'How to choose the operating point</h2>\n<p>(.*?)</p>', page)
    assert explanation.count('. ') == 2 and page.count('_found.png') == 2
    curves = results.runs[next(iter(results.runs))].inspection.classes['broken'].curves
    assert curves == {
        'all': ((0.05, 20.0), (0.5, 60.0), (3.0, 90.0)),
        'to5': ((0.05, 0.0), (0.5, 40.0), (3.0, 80.0)),
    }


def test_what_earlier_versions_found_is_read_without_curves():
    content = StudyRun(0).to_json() | dict(found=dict(broken=70.5, attached=None), found_target=0.1)
    del content['inspection']
    run = StudyRun.from_json(content)
    assert run.found_target == 0.1 and run.metrics(['broken'], 0.1)[-1] == 70.5
    assert draw_found([('a', [run.inspection])], ['attached', 'broken']) == []
    assert StudyRun.from_json(StudyRun(0).to_json()).inspection is None
