"""What the editor puts into one batch: images and words of an edit, and a group larger than a batch in the inversion."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_sdxl import smooth_images

import augment.editor
from augment.config import AugmentConfig
from augment.dataset.manifest import Manifest
from augment.dataset.pieces import Piece, to_uint8
from augment.dataset.plan import batches_in_group, grouped
from augment.diffusion.inversion import invert
from augment.diffusion.model import NonFiniteError
from augment.editor import Editor

WORDS = ['rust', 'peeling', 'dent']


@pytest.fixture
def editor(tiny_model, tmp_path):
    options = {'steps': 2, 'inner_steps': 1, 'blend': 'none', 'cache': 'none', 'resolution': 64}
    config = AugmentConfig(batch_size=2, word=WORDS, **options)
    return Editor(config, tiny_model, Manifest(tmp_path))


@pytest.fixture
def pieces():
    images = to_uint8(smooth_images(5, torch.Generator().manual_seed(7)))
    region = SimpleNamespace(box=(0, 0, 64, 64), size=(64, 64))
    return [
        Piece(SimpleNamespace(pixels_id=lambda n=n: str(n)), image, region, image)
        for n, image in enumerate(images)
    ]


def test_a_group_larger_than_a_batch_is_inverted_as_its_images(editor, pieces, tiny_model, monkeypatch):
    rows, plain = [], tiny_model.predict
    monkeypatch.setattr(
        tiny_model, 'predict', lambda latents, *rest: rows.append(len(latents)) or plain(latents, *rest)
    )
    editor.within_memory(pieces, editor.prepare, whole=True)
    assert max(rows) == 2
    for piece in pieces:
        latents = tiny_model.encode_images(torch.from_numpy(piece.source).permute(2, 0, 1)[None] / 127.5 - 1)
        alone = invert(tiny_model, latents, editor.config.source_prompt, steps=2, inner_steps=1)
        torch.testing.assert_close(piece.inversion.trajectory, alone.trajectory, atol=1e-3, rtol=0)
        expected = editor.decode(alone.reconstruction)[0].astype(int)
        assert abs(piece.reconstruction - expected).max() <= 1
        assert abs(piece.round_trip - editor.decode(alone.latent)[0].astype(int)).max() <= 1


def test_words_share_batches_of_so_many_rows_as_one_word_with_its_source(editor, pieces, monkeypatch):
    editor.prepare(pieces)
    passes, plain = [], augment.editor.edit_words

    def edit_words(model, inversion, source_prompt, targets, *rest, **options):
        passes.append((len(inversion), [target.word for target in targets]))
        return plain(model, inversion, source_prompt, targets, *rest, **options)

    monkeypatch.setattr(augment.editor, 'edit_words', edit_words)
    editor.within_memory(pieces, editor.edit)
    assert passes == [(1, WORDS)] * 5  # seven rows of at most eight
    edits = [piece.edits for piece in pieces]
    assert all(list(found) == WORDS for found in edits)
    editor.batch_size = 1  # after memory has run out: four rows
    passes.clear()
    editor.edit(pieces[:1])
    assert passes == [(1, [word]) for word in WORDS]
    for word in WORDS:
        assert abs(pieces[0].edits[word] - edits[0][word].astype(int)).max() <= 1
    assert not np.array_equal(edits[0]['rust'], edits[0]['dent'])


def test_a_word_that_overflows_costs_its_image_that_word_only(editor, pieces, monkeypatch):
    editor.prepare(pieces)
    broken, plain = pieces[1].inversion.latent, augment.editor.edit_words

    def edit_words(model, inversion, source_prompt, targets, *rest, **options):
        numbers = [n for n, latent in enumerate(inversion.latent) if torch.equal(latent, broken[0])]
        if numbers and 'peeling' in [target.word for target in targets]:
            raise NonFiniteError('guided sampling', numbers)
        return plain(model, inversion, source_prompt, targets, *rest, **options)

    monkeypatch.setattr(augment.editor, 'edit_words', edit_words)
    editor.edit_together(pieces[:3], WORDS)
    assert [list(piece.edits) for piece in pieces[:3]] == [WORDS, ['rust', 'dent'], WORDS]
    failed, fine = pieces[1].with_word('peeling'), pieces[1].with_word('dent')
    assert failed.problem == 'non-finite values after guided sampling' and failed.edited is None
    assert not fine.problem and fine.edited is pieces[1].edits['dent']


def test_groups_grow_with_the_number_of_regions():
    assert [batches_in_group(regions, 8) for regions in (0, 100, 255, 256, 10**6)] == [1, 1, 1, 2, 4]
    images = [SimpleNamespace(regions=[SimpleNamespace(size=(64, 64))] * 2) for _ in range(40)]
    groups = grouped(images, AugmentConfig(batch_size=1))
    assert [image for group in groups for image in group] == images
    assert {len(group) for group in groups} == {2}  # four batches of one region
