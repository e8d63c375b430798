"""Writing the augmented dataset: originals, accepted edits with their labels, reviews and rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from augment.config import PASTE, AugmentConfig
from augment.dataset.judge import Judge, Verdict
from augment.dataset.manifest import EDIT, Manifest, has_made_label
from augment.dataset.pieces import Piece
from augment.dataset.planting import PlantedSample
from augment.dataset.quality import Metrics
from augment.dataset.reading import RECORD, Dataset, Sample, edit_name, image_file, label_file, source_file
from augment.dataset.regions import cut, paste, resize, support
from augment.dataset.rows import EditRow, ModelIdentity, RegionRecord
from augment.files import copy_file, sha256, write_png


def copy_originals(data: Dataset, out: Path, rank: int = 0, world: int = 1) -> None:
    """Copy this process's share of the other splits and of the usable originals; only turned labels are re-encoded."""
    pairs = [(path, path.relative_to(data.root).as_posix()) for path in data.untouched]
    for sample in data.samples:
        if not sample.problem:
            pairs.append((sample.image, source_file(data.split, sample)))
    for source, target in pairs[rank::world]:
        copy_file(source, out / target)
    usable = [sample for sample in data.samples if not sample.problem]
    for sample in usable[rank::world]:
        sample.write_label(out / label_file(data.split, sample.name))
    if (data.root / RECORD).is_file():
        copy_file(data.root / RECORD, out / RECORD)


def edit_row(
    config: AugmentConfig,
    sample: Sample,
    word: str,
    *,
    accepted: bool,
    reasons: list[str],
    regions: list[RegionRecord],
    model: ModelIdentity | None,
    metrics: Metrics | None,
    judge_sha256: str | None = None,
) -> EditRow:
    """The row of the edit of one image with one word."""
    name, split = edit_name(sample.name, word), config.split
    assert sample.label_sha256 is not None
    return EditRow(
        file=image_file(split, name),
        kind='edit',
        split=split,
        source=source_file(split, sample),
        source_sha256=sample.image_sha256,
        label=label_file(split, name),
        label_sha256=sample.label_sha256,
        accepted=accepted,
        reasons=reasons,
        word=word,
        target_prompt='' if config.mode == PASTE else config.prompt(word),
        regions=regions,
        seed=config.seed,
        parameters=config.image_parameters(),
        model=model,
        reconstruction_psnr=None if metrics is None else metrics.reconstruction_psnr,
        metrics=metrics,
        judge_sha256=judge_sha256,
        mode=None if config.mode == EDIT else config.mode,
        planting=sample.planting if isinstance(sample, PlantedSample) else None,
    )


def empty_row(config: AugmentConfig, sample: Sample, word: str) -> EditRow:
    """The row of an image whose label has nothing to edit."""
    if isinstance(sample, PlantedSample):
        reason = f'no defect found a place that fits, plant_difference={config.plant_difference:g}'
    else:
        reason = f'no defect in the label: nothing to edit with blend={config.blend}, crop={config.crop}'
    return edit_row(
        config, sample, word, accepted=False, reasons=[reason], regions=[], model=None, metrics=None
    )


class EditWriter:
    """Judges the edits of images, writes what is accepted, and last of all the row."""

    def __init__(
        self,
        config: AugmentConfig,
        manifest: Manifest,
        model: ModelIdentity | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.config, self.manifest, self.model, self.judge = config, manifest, model, judge

    def finish(self, sample: Sample, word: str, pieces: list[Piece]) -> EditRow:
        """Judge and write the edit of one image with ``word``, made of its ``pieces``; returns its row."""
        if isinstance(sample, PlantedSample):
            sample.write_before_edit(self.manifest.root)
        verdict = self.verdict(pieces)
        records = [piece.judge(self.config, verdict) for piece in pieces]
        accepted = [piece for piece, record in zip(pieces, records) if record.accepted]
        judged = [r.metrics for r in records if r.metrics is not None and (r.accepted or not accepted)]
        row = edit_row(
            self.config,
            sample,
            word,
            accepted=bool(accepted),
            reasons=[] if accepted else reasons_of(records),
            regions=records,
            model=self.model,
            metrics=Metrics.worst(judged) if judged else None,
            judge_sha256=self.judge.sha256 if self.judge else None,
        )
        self.write_reconstruction(row, pieces)
        image = compose(accepted or [p for p in pieces if p.edited is not None])
        if accepted:
            row = self.write_accepted(row, sample, image)
        elif image is not None:
            write_png(self.manifest.review('rejected', row.file), image)
        self.manifest.add(row)
        return row

    def paste(self, sample: PlantedSample) -> EditRow:
        """Write a planted image as it is; returns its row."""
        sample.write_before_edit(self.manifest.root)
        row = edit_row(
            self.config, sample, PASTE, accepted=True, reasons=[], regions=[], model=None, metrics=None
        )
        row = self.write_accepted(row, sample, sample.pixels())
        self.manifest.add(row)
        return row

    def verdict(self, pieces: list[Piece]) -> Verdict | None:
        """What the judge predicts for the source and for the image with the edits of all ``pieces``."""
        edited = compose([p for p in pieces if p.edited is not None])
        if self.judge is None or edited is None:
            return None
        return self.judge.compare(pieces[0].image, edited)

    def write_accepted(self, row: EditRow, sample: Sample, image: np.ndarray) -> EditRow:
        """Write image and label, except a label drawn by hand; returns the row with the image's SHA-256."""
        root, earlier = self.manifest.root, self.manifest.rows.get(row.file)
        write_png(root / row.file, image)
        if not (root / row.label).is_file() or (earlier and has_made_label(root, earlier)):
            sample.write_label(root / row.label)
        return replace(row, file_sha256=sha256(root / row.file))

    def write_reconstruction(self, row: EditRow, pieces: list[Piece]) -> None:
        """Write the reconstruction, that of the first word, for the contact sheet and for inspection."""
        path = self.manifest.root / row.reconstruction
        reconstructed = [p for p in pieces if p.reconstruction is not None]
        if path.is_file() or not reconstructed:
            return
        image = pieces[0].image.copy()
        boxes = [(p.region, resize(p.reconstruction, p.region.weight.shape)) for p in reconstructed]
        boxes.sort(key=lambda item: -item[1].size)
        for region, pixels in boxes:
            cut(image, region.box)[...] = pixels
        for region, pixels in boxes:  # a box may contain defects that belong to another region
            cut(image, region.box)[region.mask] = pixels[region.mask]
        write_png(path, image)


def compose(pieces: list[Piece]) -> np.ndarray | None:
    """The source image with the edits of ``pieces`` pasted in; outside them it is the source to the bit."""
    if not pieces:
        return None
    image = pieces[0].image
    for piece in reversed(pieces):  # the largest defect comes first and so ends on top
        image = paste(image, piece.edited, piece.region)
    outside = ~support([p.region for p in pieces], image.shape[:2])
    assert np.array_equal(image[outside], pieces[0].image[outside])
    return image


def reasons_of(records: list[RegionRecord]) -> list[str]:
    """Why no region was accepted, each reason with its crop where there are several."""
    if len(records) == 1:
        return list(records[0].reasons)
    return [f'crop {record.box}: {reason}' for record in records for reason in record.reasons]
