"""What tells the runs of a project apart, as short as possible."""

from collections.abc import Callable, Sequence

from wtaseg.runs.records import RunRecord
from wtaseg.runs.spec import UNKNOWN


def row_labels(runs: Sequence[RunRecord]) -> list[str]:
    """Labels for a table that is grouped by model.

    The dataset, as in the table of the final results; where that is not enough the loss and the augmentation,
    as in the loss study; then the loss with its gamma; at last the run's name.
    """
    return _shortest(
        runs,
        lambda run: run.spec.trained_on,
        lambda run: f'{run.spec.loss_label()} {_augmentation_text(run)}',
        lambda run: f'{run.spec.loss_label(parameters=True)} {_augmentation_text(run)}',
    )


def legend_labels(runs: Sequence[RunRecord]) -> list[str]:
    """Labels for a legend: as in the table, but with neither model nor augmentation where all share it."""
    models = {run.spec.model for run in runs}
    if len({run.spec.augmentation for run in runs}) > 1:
        labels = row_labels(runs)
    else:
        labels = _shortest(
            runs,
            # without another run of the same model, the model alone says which run it is
            lambda run: run.spec.loss_label() if len(models) == 1 else '',
            lambda run: run.spec.loss_label(),
            lambda run: run.spec.loss_label(parameters=True),
        )
    if len(models) == 1:
        return labels
    return [f'{run.spec.model} {label}'.strip() for run, label in zip(runs, labels)]


def _augmentation_text(run: RunRecord) -> str:
    word = run.spec.augmentation
    if word is None:
        return 'w/o aug.'
    if word == UNKNOWN:
        return UNKNOWN
    return f'w/ {word.capitalize()} aug.' if word else 'w/ aug.'


def _shortest(runs: Sequence[RunRecord], *forms: Callable[[RunRecord], str]) -> list[str]:
    """Labels in the first form that tells all runs of a model apart; their names where none does."""
    for form in forms:
        labels = [form(run) for run in runs]
        if len({(run.spec.model, label) for run, label in zip(runs, labels)}) == len(runs):
            return labels
    names = [run.spec.name for run in runs]
    # a folder that was copied has the name of the other
    return names if len(set(names)) == len(runs) else [run.name for run in runs]
