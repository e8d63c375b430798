"""What the differences of the study ``pays`` say to do, in words."""

from collections.abc import Sequence

from wtaseg.studies.paired import MEAN_IOU, Comparison, PairedDifferences
from wtaseg.studies.pays import COPIED, DOSES, PASTE, PLANTED, PROPOSED
from wtaseg.studies.results import RowRecord, StudyRecord


def verdict(study: StudyRecord, paired: PairedDifferences | None) -> list[str]:
    """Sentences: what to do with this data, each row against the original images, and rows against each other."""
    if paired is None:
        return ['There are no differences yet: they need the tests of all runs.']
    first = study.rows[0].title
    rows = [(row, comparison) for row in study.rows[1:] if (comparison := paired.find(row.title, first))]
    sentences = [recommendation(rows, paired)]
    sentences += [f'{row.title}: {against_original(comparison)}' for row, comparison in rows]
    sentences += between_rows(study, paired)
    sentences.append(
        f'Differences in percentage points with 95 % intervals, paired by seed: {paired.resamples} resamples of the '
        f'{paired.images} test images and of {paired.seeds} seeds. Of {len(rows)} such intervals, about one in 20 misses 0 by chance.'
    )
    return sentences


def recommendation(rows: Sequence[tuple[RowRecord, Comparison]], paired: PairedDifferences) -> str:
    """Use, in which dose, or leave it."""
    helpful = [(row, one) for row, one in rows if helps(one)]
    if not helpful:
        known = [(row, one) for row, one in rows if one.differences[MEAN_IOU].mean is not None]
        if not known:
            return 'No answer: mIoU was not measured.'
        row, one = max(known, key=lambda pair: pair[1].differences[MEAN_IOU].mean)
        text = f'Leave it: no added images raise mIoU by more than images and seeds explain; the best is {row.title} with '
        text += f'{one.differences[MEAN_IOU]}.'
        if one.differences[MEAN_IOU].mean > 0:
            text += ' More seeds and test images would narrow the interval.'
        return text
    row, one = max(helpful, key=lambda pair: pair[1].differences[MEAN_IOU].mean)
    chosen = smallest_equal_dose(row, [other for other, _ in helpful], paired)
    difference = next(item.differences[MEAN_IOU] for other, item in helpful if other is chosen)
    text = f'Use it: {chosen.label}, {chosen.group.lower()}, raises mIoU by {difference}.'
    if chosen is not row:
        text += (
            f' {row.group} has {one.differences[MEAN_IOU]}, which is not more than images and seeds explain.'
        )
    return text


def helps(comparison: Comparison) -> bool:
    """Whether a row raises mIoU and lowers nothing, beyond its intervals."""
    raised = comparison.differences[MEAN_IOU].higher
    return raised and not any(difference.lower for difference in comparison.differences.values())


def smallest_equal_dose(
    best: RowRecord, helpful: Sequence[RowRecord], paired: PairedDifferences
) -> RowRecord:
    """The row of the smallest dose from which on more is not proven to be better."""
    chosen = best
    groups = [f'Dose {dose:g}' for dose in DOSES]
    for group in reversed(groups[: groups.index(best.group)]):
        smaller = next((r for r in helpful if (r.group, r.label) == (group, best.label)), None)
        comparison = smaller and paired.find(chosen.title, smaller.title)
        if not comparison or comparison.differences[MEAN_IOU].higher:
            break
        chosen = smaller
    return chosen


def against_original(comparison: Comparison) -> str:
    """What a row raises and lowers, beyond its intervals."""
    mean = comparison.differences[MEAN_IOU]
    raised = [name for name, one in comparison.differences.items() if one.higher]
    lowered = [name for name, one in comparison.differences.items() if one.lower]
    if not raised and not lowered:
        return f'no difference that images and seeds do not explain; mIoU {mean}.'
    parts = [
        f'{verb} {", ".join(names)}' for verb, names in (('raises', raised), ('lowers', lowered)) if names
    ]
    return f'{" and ".join(parts)}; mIoU {mean}.'


def between_rows(study: StudyRecord, paired: PairedDifferences) -> list[str]:
    """Proposed against copied labels, planted against pasted defects, and each dose against the next smaller one."""
    first, sentences = study.rows[0].title, []
    meanings = {
        PROPOSED: (
            COPIED,
            'proposed labels are better than copied ones',
            'copied labels are better than proposed ones',
        ),
        PLANTED: (PASTE, 'editing planted defects is better than pasting', 'pasting is better than editing'),
    }
    labels = {row.title: row for row in study.rows}
    for comparison in paired.comparisons:
        if comparison.against == first:
            continue
        row, against = labels[comparison.row], labels[comparison.against]
        difference = comparison.differences[MEAN_IOU]
        better, worse = f'{row.group.lower()} is better', f'{row.group.lower()} is worse'
        if row.label in meanings and meanings[row.label][0] == against.label:
            better, worse = meanings[row.label][1:]
        text = (
            better
            if difference.higher
            else worse
            if difference.lower
            else 'no difference beyond the interval'
        )
        sentences.append(f'{row.title} against {against.title}: {text}; mIoU {difference}.')
    return sentences


def difference_table(paired: PairedDifferences) -> tuple[list[str], list[list[str]]]:
    """Titles and cells of a table of all differences."""
    names = list(paired.comparisons[0].differences) if paired.comparisons else []
    cells = [
        [one.row, one.against, *(str(one.differences[name]) for name in names)] for one in paired.comparisons
    ]
    return ['Row', 'Against', *names], cells
