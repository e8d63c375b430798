"""One group of pictures from source to judged, written edits."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augment.config import AugmentConfig
from augment.dataset.cache import InversionCache, inversion_key
from augment.dataset.manifest import Manifest, Row, source_row
from augment.dataset.quality import measure, reasons_against
from augment.dataset.reading import (
    Dataset,
    Sample,
    decode_image,
    decode_label,
    edit_name,
    image_file,
    label_file,
)
from augment.dataset.regions import (
    Region,
    latent_mask,
    paste,
    plan_regions,
    resize,
    support,
    to_working,
    working_mask,
)
from augment.diffusion.editing import edit
from augment.diffusion.inversion import Inversion, invert
from augment.diffusion.model import EditModel, NonFiniteError
from augment.files import copy_file, sha256, write_png
from augment.progress import Silent


@dataclass
class Piece:
    """One region of one picture on its way: arrays ``(H, W, 3)`` uint8 at the region's working size."""

    sample: Sample
    image: np.ndarray
    region: Region
    source: np.ndarray
    round_trip: np.ndarray | None = None
    inversion: Inversion | None = None
    problem: str = ''
    record: Row = field(default_factory=dict)
    edited: np.ndarray | None = None
    reconstruction: np.ndarray | None = None


class Editor:
    """Inverts, edits, judges and writes groups of pictures with one model."""

    def __init__(self, config: AugmentConfig, model: EditModel, data: Dataset, manifest: Manifest) -> None:
        self.config, self.model, self.data, self.manifest = config, model, data, manifest
        self.progress = Silent()
        self.cache = InversionCache(config.cache_dir())
        self.identity = {'id': model.id, 'revision': model.revision, 'fingerprint': model.fingerprint()}

    def process(self, group: list[Sample], progress: Silent) -> Iterator[Row]:
        """Edit ``group`` with every word that still lacks one of its pictures; yields the rows written."""
        self.progress = progress
        pieces = [piece for sample in group for piece in self.pieces(sample)]
        prepared = False
        for word in self.config.word:
            files = {s.name: image_file(self.data.split, edit_name(s.name, word)) for s in group}
            if all(map(self.manifest.is_done, files.values())):
                continue
            if not prepared:
                for batch in self.batches(pieces):
                    self.prepare(batch)
                prepared = True
            for batch in self.batches(pieces):
                self.edit(batch, word)
            for sample in group:
                yield self.finish(sample, word, [p for p in pieces if p.sample is sample])

    def pieces(self, sample: Sample) -> Iterator[Piece]:
        """The regions of one picture, cut out and resized."""
        image = decode_image(sample.image.read_bytes())
        for region in plan_regions(decode_label(sample.label.read_bytes()), self.config):
            yield Piece(sample, image, region, to_working(image, region))

    def batches(self, pieces: list[Piece]) -> Iterator[list[Piece]]:
        """Pieces of one size without a problem, at most ``batch_size`` together."""
        sizes = sorted({p.region.size for p in pieces})
        for size in sizes:
            fit = [p for p in pieces if p.region.size == size and not p.problem]
            for start in range(0, len(fit), self.config.batch_size):
                yield fit[start : start + self.config.batch_size]

    def prepare(self, batch: list[Piece]) -> None:
        """Give each piece its inversion, from the cache or made now, and its VAE round trip."""

        def work(pieces: list[Piece]) -> None:
            inversions = self.invert(pieces)
            decoded = to_uint8(self.model.decode_latents(Inversion.cat(inversions).latent))
            for piece, inversion, picture in zip(pieces, inversions, decoded):
                piece.inversion, piece.round_trip = inversion, picture

        without_broken(batch, work)

    def invert(self, pieces: list[Piece]) -> list[Inversion]:
        """Inversions of ``pieces`` on the CPU.

        If one is missing in the cache the whole batch is inverted, so that what is made does not depend on what
        happened to be there.
        """
        keys = [self.key(piece) for piece in pieces]
        kept = [self.cache.load(key) for key in keys]
        if all(inversion is not None for inversion in kept):
            return kept
        report = self.progress.stage('encode')
        latents = self.model.encode_images(to_tensor(piece.source for piece in pieces))
        report = self.progress.stage('invert')
        c = self.config
        made = invert(
            self.model,
            latents,
            c.source_prompt,
            method=c.inversion,
            steps=c.steps,
            guidance=c.guidance,
            rli_alpha=c.rli_alpha,
            inner_steps=c.inner_steps,
            low_resource=c.low_resource,
            progress=report,
        )
        made = [move(item, 'cpu') for item in made.split()]
        for key, inversion in zip(keys, made):
            self.cache.save(key, inversion)
        return made

    def key(self, piece: Piece) -> dict[str, Any]:
        """Cache key of a piece's inversion."""
        device = torch.device(self.model.device).type
        where = piece.sample.image_sha256, piece.region.box, piece.region.size
        return inversion_key(self.config, self.identity['fingerprint'], device, *where)

    def edit(self, batch: list[Piece], word: str) -> None:
        """Give each piece its edit with ``word`` and its reconstruction."""
        c = self.config
        report = self.progress.stage(f'edit: {word}')

        def work(pieces: list[Piece]) -> None:
            inversion = move(Inversion.cat([p.inversion for p in pieces]), self.model.device)
            mask = None
            if c.blend == 'label':
                cells = [latent_mask(p.region, self.model.vae_scale) for p in pieces]
                mask = torch.stack(cells).to(self.model.device)
            result = edit(
                self.model,
                inversion,
                c.source_prompt,
                c.prompt(word),
                word,
                guidance=c.guidance,
                cross=c.cross,
                self_replace=c.self_replace,
                eq=c.eq,
                rli_alpha=c.rli_alpha,
                self_max_positions=c.self_max_positions,
                low_resource=c.low_resource,
                latent_mask=mask,
                local_blend=c.blend == 'attention',
                progress=report,
            )
            edited = to_uint8(self.model.decode_latents(result.edited))
            reconstruction = to_uint8(self.model.decode_latents(result.reconstruction))
            for piece, picture, rebuilt in zip(pieces, edited, reconstruction):
                piece.edited, piece.reconstruction = picture, rebuilt

        for piece in batch:
            piece.edited = piece.reconstruction = None
        without_broken(batch, work)

    def finish(self, sample: Sample, word: str, pieces: list[Piece]) -> Row:
        """Judge the edit of one picture, write what is accepted, and last of all its row."""
        for piece in pieces:
            piece.record = self.judge(piece)
        taken = [p for p in pieces if p.record['accepted']]
        name = edit_name(sample.name, word)
        row = source_row(sample, self.data.split) | {
            'file': image_file(self.data.split, name),
            'label': label_file(self.data.split, name),
            'kind': 'edit',
            'word': word,
            'target_prompt': self.config.prompt(word),
            'accepted': bool(taken),
            'reasons': [] if taken else reasons_of(pieces),
            'regions': [p.record for p in pieces],
            'seed': self.config.seed,
            'parameters': self.config.picture_parameters(),
            'model': self.identity,
            **worst(taken or pieces),
        }
        self.write_reconstruction(row, pieces)
        picture = self.compose(taken or [p for p in pieces if p.edited is not None])
        if taken:
            row |= self.write_accepted(row, sample, picture)
        elif picture is not None:
            write_png(self.manifest.review('rejected', row['file']), picture)
        self.manifest.add(row)
        return row

    def judge(self, piece: Piece) -> Row:
        """The record of one region: where it lies, its metrics, and whether it is accepted."""
        record: Row = {'box': list(piece.region.box), 'size': list(piece.region.size)}
        if piece.problem:
            return record | {'accepted': False, 'reasons': [piece.problem]}
        assert piece.edited is not None and piece.inversion is not None
        metrics = measure(
            piece.source, piece.round_trip, piece.reconstruction, piece.edited, working_mask(piece.region)
        )
        reasons = reasons_against(metrics, self.config)
        record['inner_steps'] = piece.inversion.stats['inner_steps'][0]
        return record | {'metrics': metrics, 'accepted': not reasons, 'reasons': reasons}

    def compose(self, pieces: list[Piece]) -> np.ndarray | None:
        """The source picture with the edits of ``pieces`` pasted in; outside them it is the source to the bit."""
        if not pieces:
            return None
        picture = pieces[0].image
        for piece in reversed(pieces):  # the largest defect comes first and so ends on top
            picture = paste(picture, piece.edited, piece.region)
        outside = ~support([p.region for p in pieces], picture.shape[:2])
        assert np.array_equal(picture[outside], pieces[0].image[outside])
        return picture

    def write_accepted(self, row: Row, sample: Sample, picture: np.ndarray) -> Row:
        """Write picture and label; a label drawn anew by hand stays. Returns what the row says about them."""
        root = self.manifest.root
        write_png(root / row['file'], picture)
        if not (root / row['label']).is_file():
            copy_file(sample.label, root / row['label'])
        return {'file_sha256': sha256(root / row['file'])}

    def write_reconstruction(self, row: Row, pieces: list[Piece]) -> None:
        """Keep the reconstruction of the first word for the contact sheet and for whoever wants to see it."""
        path = self.manifest.review('reconstruction', row['source'])
        rebuilt = [p for p in pieces if p.reconstruction is not None]
        if path.is_file() or not rebuilt:
            return
        picture = pieces[0].image.copy()
        for piece in reversed(rebuilt):
            left, top, right, bottom = piece.region.box
            picture[top:bottom, left:right] = resize(piece.reconstruction, (bottom - top, right - left))
        write_png(path, picture)


def without_broken(batch: list[Piece], work: Callable[[list[Piece]], None]) -> None:
    """Run ``work`` on the pieces without a problem; those whose values are not finite get one and are left out."""
    pieces = [p for p in batch if not p.problem]
    while pieces:
        try:
            return work(pieces)
        except NonFiniteError as error:
            assert error.images
            for number in error.images:
                pieces[number].problem = f'non-finite values after {error.stage}'
            pieces = [p for p in pieces if not p.problem]
    return None


def reasons_of(pieces: list[Piece]) -> list[str]:
    """Why no region was accepted, each reason with its crop where there are several."""
    if len(pieces) == 1:
        return list(pieces[0].record['reasons'])
    return [f'crop {p.record["box"]}: {reason}' for p in pieces for reason in p.record['reasons']]


def worst(pieces: list[Piece]) -> Row:
    """The metrics of a picture: over its regions, each figure at its worst; None where a region has none."""
    measured = [p.record['metrics'] for p in pieces if 'metrics' in p.record]
    if not measured:
        return {'reconstruction_psnr': None, 'metrics': None}
    pick = {'change_outside': max, 'lpips': max}
    metrics = {name: pick.get(name, min)(m[name] for m in measured) for name in measured[0]}
    return {'reconstruction_psnr': metrics['reconstruction_psnr'], 'metrics': metrics}


def move(inversion: Inversion, device: str | torch.device) -> Inversion:
    """The same inversion on ``device``."""
    tensors = {name: tensor.to(device) for name, tensor in inversion.tensors().items()}
    return Inversion.from_tensors(tensors, inversion.stats)


def to_tensor(pictures: Iterable[np.ndarray]) -> Tensor:
    """Pictures ``(H, W, 3)`` uint8 to float32 ``(N, 3, H, W)`` in [-1, 1]."""
    return torch.from_numpy(np.stack(list(pictures))).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_uint8(images: Tensor) -> np.ndarray:
    """Images ``(N, 3, H, W)`` in [-1, 1] to ``(N, H, W, 3)`` uint8."""
    levels = ((images.float().clamp(-1, 1) + 1) * 127.5).round()
    return levels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
