"""Sentences that follow from the values of a study's table alone."""

import math

from wtaseg.report.summary import Marking, Row, Summary, Table, metric_titles
from wtaseg.studies.folds import MEAN, fold_findings
from wtaseg.studies.pays import PAYS
from wtaseg.studies.results import StudyRecord, StudyResults
from wtaseg.studies.selection import Selection, select_word
from wtaseg.studies.verdict import verdict

# with three seeds each, Welch's two-sided 5 % bound lies between 2.8 and 4.3
CLEAR_RATIO = 4.3


def findings(name: str, results: StudyResults, study: StudyRecord, table: Table) -> list[str]:
    """What a study's table shows; for the study words, the selection with its reasons."""
    # the mean over the folds counts runs again
    rows = [row for row in table.rows if table.marking is not Marking.MEAN or row.label != MEAN]
    expected = sum(row.expected_runs for row in rows)
    missing = expected - sum(row.runs for row in rows)
    sentences = []
    if missing:
        sentences.append(
            f'{missing} of {expected} runs have no test results yet; the means are over those that have.'
        )
    if name == PAYS:
        return [*sentences, *verdict(study, results.paired.get(name))]
    if name == 'words':
        return [*sentences, *word_selection(table)[1]]
    if table.marking is Marking.MEAN:
        return [*sentences, *fold_findings(table, results.pooled.get(name))]
    if table.marking is Marking.BEST_IN_GROUP:
        return [*sentences, *_best_in_groups(table)]
    ranking = [*_ranking(table, 'mIoU'), *_ranking(table, 'mAcc')]
    return [*sentences, *ranking, *_place_of_unchanged_config(results, study, table)]


def word_selection(table: Table) -> tuple[Selection | None, list[str]]:
    """The selection rule on the words measured so far, and its reasons.

    Args:
        table: the original images in the first row, a word in each other row.
    """
    original, *words = table.rows
    # the rule is about IoU and accuracy
    compared = metric_titles(table.classes)
    means = {row.label: _means(row, len(compared)) for row in words if row.runs}
    if not original.runs or not means:
        return None, ['The selection rule needs the original images and one word at least.']
    selection = select_word(compared, _means(original, len(compared)), means)
    reasons = list(selection.reasons)
    if unmeasured := [row.label for row in words if not row.runs]:
        reasons.append(f'Not measured, and so not compared: {", ".join(unmeasured)}.')
    return selection, reasons


def _means(row: Row, count: int) -> list[float]:
    return [summary.mean for summary in row.summaries[:count]]


def _ranked(table: Table, metric: str) -> list[tuple[Row, Summary]]:
    """The rows that have a metric, the highest mean first."""
    pairs = [(row, table.summary(row, metric)) for row in table.measured]
    return sorted((pair for pair in pairs if not math.isnan(pair[1].mean)), key=lambda pair: -pair[1].mean)


def _ranking(table: Table, metric: str) -> list[str]:
    ranked = _ranked(table, metric)
    if len(ranked) < 2:
        return []
    (first, best), (second, next_best) = ranked[:2]
    lead = best.mean - next_best.mean
    if lead == 0:
        equal = [row.label for row, summary in ranked if summary.mean == best.mean]
        return [f'Highest {metric}: {table.text(first, metric)}, equal for {", ".join(equal)}.']
    return [
        f'Highest {metric}: {first.label} with {table.text(first, metric)}, {lead:.2f} points before {second.label} '
        f'({table.text(second, metric)}).{_significance(best, next_best, lead)}'
    ]


def _significance(first: Summary, second: Summary, lead: float) -> str:
    """How the lead compares with the spread between seeds: Welch's t, as a plain ratio."""
    if first.count < 2 or second.count < 2:
        return ' One run each: the spread between seeds is not known.'
    error = math.sqrt(first.std**2 / first.count + second.std**2 / second.count)
    if error == 0:
        return ''
    ratio = lead / error
    clear = ratio > CLEAR_RATIO
    verdict = 'more than seeds explain' if clear else 'not clearly more than the spread between seeds'
    return f' That is {ratio:.1f} standard errors of the difference: {verdict}.'


def _place_of_unchanged_config(results: StudyResults, study: StudyRecord, table: Table) -> list[str]:
    """The rank of the final method, the row that changes nothing in its config."""
    means = {id(row): summary.mean for row, summary in _ranked(table, 'mIoU')}
    for row, record in zip(table.rows, study.rows):
        if id(row) in means and len(means) > 1 and not results.experiments[record.experiment].changes:
            place = 1 + sum(mean > means[id(row)] for mean in means.values())
            return [f'{row.label}, the config without changes, is number {place} of {len(means)} by mIoU.']
    return []


def _best_in_groups(table: Table) -> list[str]:
    """How often each label has the highest mean of its group."""
    sentences = []
    for metric in ('mIoU', 'mAcc'):
        groups: dict[str, list[Row]] = {}
        for row, _ in _ranked(table, metric):
            groups.setdefault(row.group, []).append(row)
        best = [rows[0].label for rows in groups.values() if len(rows) > 1]
        counts = ', '.join(f'{label} for {best.count(label)} of {len(best)}' for label in dict.fromkeys(best))
        if counts:
            sentences.append(f'Highest {metric}: {counts} models.')
    return sentences
