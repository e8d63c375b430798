"""What ``wta-seg predict`` does."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from wtaseg.predict.inputs import Source
from wtaseg.predict.predictor import LoadedImage, Predictor
from wtaseg.predict.rule import DecisionRule
from wtaseg.predict.writing import COCO_FILE, CSV_FILE, Output


@dataclass
class Summary:
    """What became of the images.

    Attributes:
        folder: of the results.
        images: how many were predicted.
        defects: how many defects they have.
        failed: name and reason of every image that could not be predicted.
        rule: by which the defects were marked.
    """

    folder: Path
    images: int = 0
    defects: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    rule: DecisionRule = field(default_factory=DecisionRule)

    def __str__(self) -> str:
        text = f'{self.images} images, {self.defects} defects {self.rule}: '
        text += f'{self.folder}/{CSV_FILE}, {COCO_FILE}, overlays, labels'
        return text + (f'; {len(self.failed)} images failed' if self.failed else '')


def predict_images(
    predictor: Predictor,
    sources: Sequence[Source],
    folder: Path,
    batch_size: int = 1,
    probabilities: bool = False,
) -> Summary:
    """Predict images and write the results; an image that fails is reported on stderr and the rest goes on.

    Args:
        predictor: the model.
        sources: the images.
        folder: for the results.
        batch_size: images at a time; they are batched where their inputs have one size.
        probabilities: also write the probability of each class.

    Raises:
        ValueError: ``batch_size`` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f'--batch-size: {batch_size}; expected at least 1')
    output, summary = Output(folder, probabilities, predictor.rule), Summary(folder, rule=predictor.rule)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn('{task.description}'), *columns, console=Console(stderr=True)) as progress:
        task = progress.add_task('predicting', total=len(sources))
        try:
            for batch in _batches(predictor, sources, batch_size, summary, lambda: progress.advance(task)):
                _predict_batch(predictor, batch, output, summary)
                progress.advance(task, len(batch))
        finally:  # also after Ctrl-C there are lists of what was predicted
            output.finish()
    summary.defects = output.defects
    return summary


def _batches(
    predictor: Predictor, sources: Sequence[Source], batch_size: int, summary: Summary, failed
) -> Iterator[list[tuple[Source, LoadedImage]]]:
    """Consecutive images whose inputs have one size."""
    batch: list[tuple[Source, LoadedImage]] = []
    for source in sources:
        try:
            image = predictor.load(source.path)
        except (OSError, ValueError) as error:
            _report(summary, source, error)
            failed()
            continue
        if batch and (len(batch) == batch_size or batch[0][1].size != image.size):
            yield batch
            batch = []
        batch.append((source, image))
    if batch:
        yield batch


def _predict_batch(
    predictor: Predictor, batch: list[tuple[Source, LoadedImage]], output: Output, summary: Summary
) -> None:
    try:
        predictions = predictor.predict_loaded([image for _, image in batch])
    except (RuntimeError, ValueError) as error:  # memory, a size that the model does not take
        for source, _ in batch:
            _report(summary, source, error)
        return
    for (source, _), prediction in zip(batch, predictions):
        output.add(source, prediction)
        summary.images += 1


def _report(summary: Summary, source: Source, error: Exception) -> None:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    summary.failed.append((source.name, reason))
    print(f'{source.path}: {reason}', file=sys.stderr)
