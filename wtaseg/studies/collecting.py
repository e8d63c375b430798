"""The results of a project's studies, read from its runs."""

import sys
from dataclasses import replace
from itertools import takewhile

from wtaseg.report.summary import Marking
from wtaseg.runs.layout import ProjectLayout
from wtaseg.runs.records import read_run
from wtaseg.studies.bootstrap import compare
from wtaseg.studies.paired import PairedDifferences
from wtaseg.studies.pays import PAYS, pairs_to_compare
from wtaseg.studies.pooled import DEFAULT_TARGET, PooledPoint, load_counts, pool_runs
from wtaseg.studies.results import RowRecord, StudyRecord, StudyResults, StudyRun


def collect(results: StudyResults, project: ProjectLayout) -> None:
    """Read every run of every study from disk into ``results``, and the pooled operating points."""
    runs = {}
    for study in results.studies.values():
        for row in study.rows:
            for seed, name in enumerate(row.runs):
                if name not in runs:
                    earlier = results.runs.get(name)
                    record = read_run(project.run(name).exp)
                    runs[name] = StudyRun.of(record, seed, earlier.seconds if earlier else None)
    results.runs = runs
    results.pooled = {}
    for name, study in results.studies.items():
        if study.marking is Marking.MEAN and (point := _pool(results, study, project)):
            results.pooled[name] = point


def compare_rows(results: StudyResults, project: ProjectLayout) -> None:
    """Put the differences between the rows of each study whose tests counted each image into ``results``."""
    results.paired = {}
    for name, study in results.studies.items():
        if study.marking is not Marking.MEAN and (differences := _compare(results, name, study, project)):
            results.paired[name] = differences


def _pool(results: StudyResults, study: StudyRecord, project: ProjectLayout) -> PooledPoint | None:
    """The pooled operating point of the first seed of all folds; None until all are done."""
    runs = [row.runs[0] for row in study.rows]
    if results.unfinished(runs):
        return None
    target = results.found_target(study)
    try:
        return pool_runs(project, runs, DEFAULT_TARGET if target is None else target)
    except (FileNotFoundError, ValueError) as error:
        print(f'no pooled operating point: {error}', file=sys.stderr)
        return None


def _compare(
    results: StudyResults, name: str, study: StudyRecord, project: ProjectLayout
) -> PairedDifferences | None:
    """The differences of the rows that can be compared; None before there are two.

    In the study pays these are the rows whose runs are all done. In others those with a first seed, over the seeds that all
    of them have.
    """
    done = {row: _first_done(results, row) for row in study.rows}
    rows = [row for row in study.rows if len(done[row]) >= (len(row.runs) if name == PAYS else 1)]
    if len(rows) < 2 or (name == PAYS and rows[0] != study.rows[0]):
        return None
    compared = replace(study, rows=tuple(rows))
    pairs = pairs_to_compare(compared) if name == PAYS else pairs_with_baseline(compared)
    seeds = min(len(done[row]) for row in rows)
    target = results.found_target(study)
    try:
        counts = {row.title: load_counts(project, done[row][:seeds]) for row in rows}
        return compare(counts, pairs, DEFAULT_TARGET if target is None else target)
    except FileNotFoundError as error:
        if name == PAYS:  # other studies are tested without counts, unless they were asked for
            print(f'no differences: {error}', file=sys.stderr)
    except ValueError as error:
        print(f'no differences: {error}', file=sys.stderr)
    return None


def _first_done(results: StudyResults, row: RowRecord) -> list[str]:
    """The runs of a row up to the first one without results."""
    return list(takewhile(lambda run: not results.unfinished([run]), row.runs))


def pairs_with_baseline(study: StudyRecord) -> list[tuple[str, str]]:
    """Titles of each row and of the one that it is measured against.

    That is the first row; where rows are compared within groups, the row ``Original`` of the group or else its first one.
    """
    pairs = []
    for row in study.rows:
        within = study.marking is Marking.BEST_IN_GROUP
        group = [other for other in study.rows if other.group == row.group or not within]
        baseline = next((other for other in group if within and other.label == 'Original'), group[0])
        if row != baseline:
            pairs.append((row.title, baseline.title))
    return pairs
