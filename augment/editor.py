"""Inversion and editing of one group of images with one model."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from augment.config import AugmentConfig
from augment.dataset.cache import InversionCache, inversion_key
from augment.dataset.judge import Judge
from augment.dataset.manifest import Manifest
from augment.dataset.pieces import Piece, batches, cut_pieces, to_tensor, to_uint8, without_broken
from augment.dataset.plan import PlannedImage, edit_files
from augment.dataset.planting import PlantedSample
from augment.dataset.regions import latent_mask
from augment.dataset.rows import EditRow, ModelIdentity
from augment.dataset.writing import EditWriter
from augment.diffusion.editing import edit
from augment.diffusion.inversion import invert
from augment.diffusion.inverted import Inversion
from augment.diffusion.local_blend import BlendOptions
from augment.diffusion.model import EditModel
from augment.progress import Silent

log = logging.getLogger(__name__)


class Editor:
    """Inverts and edits groups of images and has the edits judged and written.

    Attributes:
        batch_size: Pieces inverted and edited together; halved when the memory of the GPU runs out.
    """

    def __init__(
        self, config: AugmentConfig, model: EditModel, manifest: Manifest, judge: Judge | None = None
    ) -> None:
        self.config, self.model, self.manifest = config, model, manifest
        self.progress, self.batch_size = Silent(), config.batch_size
        self.cache = InversionCache(config.cache_dir())
        self.identity = ModelIdentity(id=model.id, revision=model.revision, fingerprint=model.fingerprint())
        self.writer = EditWriter(config, manifest, self.identity, judge)

    def process(self, group: list[PlannedImage], progress: Silent) -> Iterator[EditRow]:
        """Edit ``group`` with every word of which an image is missing; yields the rows written."""
        self.progress = progress
        samples = [planned.sample for planned in group]
        missing = [
            word
            for word in self.config.words
            if not all(map(self.manifest.is_done, edit_files(self.config.split, samples, [word])))
        ]
        if not missing:
            return
        pieces = cut_pieces(group)
        for batch in batches(pieces, self.config.batch_size):
            self.within_memory(batch, self.prepare)
        for word in missing:
            for batch in batches(pieces, self.config.batch_size):
                self.within_memory(batch, partial(self.edit, word=word))
            for sample in samples:
                yield self.writer.finish(sample, word, [p for p in pieces if p.sample is sample])

    def within_memory(self, batch: list[Piece], work: Callable[[list[Piece]], None]) -> None:
        """Run ``work`` on ``batch`` in parts of at most ``batch_size``, which is halved as often as memory runs out.

        Raises:
            torch.OutOfMemoryError: A single piece is too much.
        """
        waiting = list(batch)
        while waiting:
            part = waiting[: self.batch_size]
            try:
                work(part)
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
                self.batch_size = len(part) // 2
            else:
                waiting = waiting[len(part) :]
                continue
            # Not in the handler: its traceback holds on to the tensors.
            self.model.release()
            torch.cuda.empty_cache()
            log.warning(
                'the GPU has too little memory for %d images at once; continuing with batches of %d '
                '(--batch-size %d avoids the attempt)',
                len(part),
                self.batch_size,
                self.batch_size,
            )

    def prepare(self, batch: list[Piece]) -> None:
        """Give each piece its inversion, from the cache or made now, and its VAE round trip."""

        def work(pieces: list[Piece]) -> None:
            """Invert and reconstruct a batch, one result for each piece."""
            inversions = self.invert(pieces)
            decoded = to_uint8(self.model.decode_latents(Inversion.cat(inversions).latent))
            for piece, inversion, image in zip(pieces, inversions, decoded):
                piece.inversion, piece.round_trip = inversion, image

        without_broken(batch, work)

    def invert(self, pieces: list[Piece]) -> list[Inversion]:
        """Inversions of ``pieces`` on the CPU.

        If one is missing in the cache the whole batch is inverted, so that the result does not depend on what the
        cache contains.
        """
        keys = [self.key(piece) for piece in pieces]
        cached = [self.cache.load(key) for key in keys]
        if all(inversion is not None for inversion in cached):
            return cached
        self.progress.stage('encode')
        latents = self.model.encode_images(to_tensor(piece.source for piece in pieces))
        c = self.config
        result = invert(
            self.model,
            latents,
            c.source_prompt,
            method=c.inversion,
            steps=c.steps,
            guidance=c.guidance,
            rli_alpha=c.rli_alpha,
            inner_steps=c.inner_steps,
            low_resource=c.low_resource,
            progress=self.progress.stage('invert'),
        )
        inversions = [item.to('cpu').compact(self.model.dtype) for item in result.split()]
        for key, inversion in zip(keys, inversions):
            self.cache.save(key, inversion)
        return inversions

    def key(self, piece: Piece) -> dict[str, Any]:
        """Cache key of a piece's inversion."""
        device = torch.device(self.model.device).type
        place = piece.sample.pixels_id(), piece.region.box, piece.region.size
        return inversion_key(self.config, self.identity.fingerprint, device, *place)

    def edit(self, batch: list[Piece], word: str) -> None:
        """Give each piece its edit with ``word`` and its reconstruction."""
        c = self.config
        progress = self.progress.stage(f'edit: {word}')

        def work(pieces: list[Piece]) -> None:
            """Edit a batch that is inverted, one result for each piece."""
            inversion = Inversion.cat([p.inversion for p in pieces]).to(self.model.device)
            blend = BlendOptions(c.blend_threshold, c.blend_blocks) if c.blend == 'attention' else None
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
                local_blend=blend,
                progress=progress,
            )
            edited = to_uint8(self.model.decode_latents(result.edited))
            reconstruction = to_uint8(self.model.decode_latents(result.reconstruction))
            for piece, image, reconstructed in zip(pieces, edited, reconstruction):
                piece.edited, piece.reconstruction = image, reconstructed

        for piece in batch:
            piece.edited = piece.reconstruction = None
        without_broken(batch, work)


class Paster:
    """Writes groups of images with planted defects as they are."""

    def __init__(self, config: AugmentConfig, manifest: Manifest) -> None:
        self.config, self.manifest = config, manifest
        self.writer = EditWriter(config, manifest)

    def process(self, group: list[PlannedImage], progress: Silent) -> Iterator[EditRow]:
        """Write the images of ``group`` that are missing; yields their rows."""
        for planned in group:
            (file,) = edit_files(self.config.split, [planned.sample], self.config.words)
            if not self.manifest.is_done(file):
                assert isinstance(planned.sample, PlantedSample)
                yield self.writer.paste(planned.sample)
