"""Inversion and editing of one group of images with one model."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
from augment.diffusion.editing import EditOptions, Target, edit_words
from augment.diffusion.inversion import invert
from augment.diffusion.inverted import Inversion
from augment.diffusion.model import EditModel, NonFiniteError
from augment.progress import Silent

log = logging.getLogger(__name__)

EDIT_ROWS = 4
"""Rows of the UNet in an edit for each image of ``batch_size``; a pass without gradients needs less memory for each."""


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
        for queue in batches(pieces, len(pieces)):
            self.within_memory(queue, self.prepare, whole=True)
        for batch in batches(pieces, self.config.batch_size):
            self.within_memory(batch, self.edit)
        for word in missing:
            for sample in samples:
                parts = [p.with_word(word) for p in pieces if p.sample is sample]
                yield self.writer.finish(sample, word, parts)

    def within_memory(
        self, batch: list[Piece], work: Callable[[list[Piece]], None], *, whole: bool = False
    ) -> None:
        """Run ``work`` on ``batch`` in parts of at most ``batch_size``, which is halved as often as memory runs out.

        With ``whole``, ``work`` gets all of ``batch`` and keeps to ``batch_size`` itself.

        Raises:
            torch.OutOfMemoryError: A single piece is too much.
        """
        waiting = list(batch)
        while waiting:
            part = waiting if whole else waiting[: self.batch_size]
            together = min(len(part), self.batch_size)
            try:
                work(part)
            except torch.OutOfMemoryError:
                if together == 1:
                    raise
                self.batch_size = together // 2
            else:
                waiting = waiting[len(part) :]
                continue
            # Not in the handler: its traceback holds on to the tensors.
            self.model.release()
            torch.cuda.empty_cache()
            log.warning(
                'the GPU has too little memory for %d images at once; continuing with batches of %d '
                '(--batch-size %d avoids the attempt)',
                together,
                self.batch_size,
                self.batch_size,
            )

    def prepare(self, batch: list[Piece]) -> None:
        """Give each piece its inversion, from the cache or made now, its VAE round trip and its reconstruction."""

        def work(pieces: list[Piece]) -> None:
            """Invert and reconstruct a batch, one result for each piece."""
            inversions = self.invert(pieces)
            decoded = self.decode(torch.cat([inversion.latent for inversion in inversions]))
            reconstructed = self.decode(torch.cat([inversion.reconstruction for inversion in inversions]))
            for piece, inversion, *images in zip(pieces, inversions, decoded, reconstructed):
                piece.inversion = inversion
                piece.round_trip, piece.reconstruction = images

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
            rows=self.batch_size,
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

    def decode(self, latents: Tensor) -> np.ndarray:
        """Latents ``(N, 4, h, w)`` to images ``(N, H, W, 3)`` uint8."""
        return to_uint8(self.model.decode_latents(latents))

    def edit(self, batch: list[Piece]) -> None:
        """Give each piece its edits, or the reasons why there are none.

        All words of the command are sampled, whatever is missing: so batches, and with them the rounding, do not depend on
        where an earlier run was stopped.
        """
        most_words = max(1, (EDIT_ROWS * self.batch_size - 1) // 2)
        for first in range(0, len(self.config.words), most_words):
            words = self.config.words[first : first + most_words]
            images = max(1, EDIT_ROWS * self.batch_size // (2 * len(words) + 1))
            for start in range(0, len(batch), images):
                self.edit_together(batch[start : start + images], words)

    def edit_together(self, pieces: list[Piece], words: Sequence[str]) -> None:
        """Edit ``pieces`` with ``words`` in one batch; with one word after the other where values are not finite."""
        try:
            self.sample(pieces, words)
        except NonFiniteError as error:
            if len(words) > 1:
                for word in words:
                    self.edit_together(pieces, [word])
                return
            for number in error.images:
                pieces[number].failures[words[0]] = f'non-finite values after {error.stage}'
            if rest := [piece for number, piece in enumerate(pieces) if number not in error.images]:
                self.edit_together(rest, words)

    def sample(self, pieces: list[Piece], words: Sequence[str]) -> None:
        """Sample and decode the edits of ``pieces`` with ``words``."""
        c = self.config
        inversion = Inversion.cat([p.inversion for p in pieces]).to(self.model.device)
        mask = None
        if c.blend == 'label':
            mask = torch.stack([latent_mask(p.region, self.model.vae_scale) for p in pieces])
        targets = [Target(c.prompt(word), word) for word in words]
        progress = self.progress.stage(f'edit: {", ".join(words)}')
        results = edit_words(
            self.model,
            inversion,
            c.source_prompt,
            targets,
            EditOptions.of(c),
            latent_mask=mask,
            progress=progress,
        )
        for word, result in zip(words, results):
            for piece, image in zip(pieces, self.decode(result.edited)):
                piece.edits[word] = image


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
