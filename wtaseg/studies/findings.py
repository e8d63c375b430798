"""What a table shows, in sentences that follow from its figures alone."""

import math

from wtaseg.report.study_table import Line, StudyTable

from .definitions import BEST_IN_GROUP
from .selection import Selection, select_word


def findings(name: str, results: dict, study: dict, table: StudyTable) -> list[str]:
    """Sentences on a study; for the words, the selection with its reasons."""
    missing = sum(line.wanted - line.runs for line in table.lines)
    wanted = sum(line.wanted for line in table.lines)
    said = []
    if missing:
        said.append(
            f'{missing} of {wanted} runs have no test results yet; the means are over those that have.'
        )
    if name == 'words':
        return [*said, *word_selection(table)[1]]
    if study['marks'] == BEST_IN_GROUP:
        return [*said, *_within_groups(table)]
    ranked = [*_ranking(table, 'mIoU'), *_ranking(table, 'mAcc')]
    return [*said, *ranked, *_place_of_default(results, study, table)]


def word_selection(table: StudyTable) -> tuple[Selection | None, list[str]]:
    """The selection rule on the words measured so far, and what it says."""
    original, *words = table.lines
    measured = {line.label: table.means(line) for line in words if line.runs}
    if not original.runs or not measured:
        return None, ['The selection rule needs the original images and one word at least.']
    selection = select_word(table.metrics, table.means(original), measured)
    unmeasured = [line.label for line in words if not line.runs]
    said = list(selection.reasons)
    if unmeasured:
        said.append(f'Not measured, and so not compared: {", ".join(unmeasured)}.')
    return selection, said


def _ranking(table: StudyTable, metric: str) -> list[str]:
    i = table.metrics.index(metric)
    ranked = sorted(
        (line for line in table.measured if not math.isnan(line.figures[i].mean)),
        key=lambda line: -line.figures[i].mean,
    )
    if len(ranked) < 2:
        return []
    first, second = ranked[:2]
    lead = first.figures[i].mean - second.figures[i].mean
    if lead == 0:
        level = [line.label for line in ranked if line.figures[i].mean == first.figures[i].mean]
        return [f'Highest {metric}: {table.cell(first, i)}, at which {", ".join(level)} are level.']
    return [
        f'Highest {metric}: {first.label} with {table.cell(first, i)}, {lead:.2f} points before {second.label} '
        f'({table.cell(second, i)}).{_weight(first, second, i, lead)}'
    ]


def _weight(first: Line, second: Line, i: int, lead: float) -> str:
    """How the lead compares with the spread between seeds: Welch's t, as a plain ratio."""
    a, b = first.figures[i], second.figures[i]
    if a.count < 2 or b.count < 2:
        return ' One run each: the spread between seeds is not known.'
    error = math.sqrt(a.deviation**2 / a.count + b.deviation**2 / b.count)
    if error == 0:
        return ''
    ratio = lead / error
    # with three seeds each, Welch's two-sided 5 % bound lies between 2.8 and 4.3
    verdict = 'more than seeds explain' if ratio > 4.3 else 'not clearly more than seeds alone make'
    return f' That is {ratio:.1f} standard errors of the difference: {verdict}.'


def _place_of_default(results: dict, study: dict, table: StudyTable) -> list[str]:
    """Where the final method stands, the row that changes nothing."""
    i = table.metrics.index('mIoU')
    ranked = [line for line in table.measured if not math.isnan(line.figures[i].mean)]
    for line, row in zip(table.lines, study['rows']):
        if line in ranked and not results['variants'][row['variant']]['changes'] and len(ranked) > 1:
            place = 1 + sum(other.figures[i].mean > line.figures[i].mean for other in ranked)
            return [f'{line.label}, the config as it stands, is number {place} of {len(ranked)} by mIoU.']
    return []


def _within_groups(table: StudyTable) -> list[str]:
    said = []
    for metric in ('mIoU', 'mAcc'):
        i = table.metrics.index(metric)
        best = {}
        for group in dict.fromkeys(line.group for line in table.lines):
            lines = [
                line
                for line in table.measured
                if line.group == group and not math.isnan(line.figures[i].mean)
            ]
            if len(lines) > 1:
                best[group] = max(lines, key=lambda line: line.figures[i].mean)
        labels = [line.label for line in best.values()]
        counted = ', '.join(
            f'{label} for {labels.count(label)} of {len(best)}' for label in dict.fromkeys(labels)
        )
        if counted:
            said.append(f'Highest {metric}: {counted} models.')
    return said
