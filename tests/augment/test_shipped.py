"""The shipped weights: real edits, reconstructed, changed, judged and accepted."""

import json
from dataclasses import fields
from importlib.util import find_spec

import numpy as np
import pytest

from augment import shipped
from augment.config import AugmentConfig
from augment.dataset.reading import decode_image, decode_label
from augment.run import main

WORDS = ('rust', 'dent')


@pytest.fixture(scope='module')
def blade(tmp_path_factory):
    """A dataset of one rendered image with a few defects."""
    from wtaseg.blades.dataset import render_dataset

    folder = tmp_path_factory.mktemp('shipped') / 'blade'
    list(render_dataset(folder, {'train': 1, 'val': 1, 'test': 1}, size=256, seed=3))
    return folder


@pytest.fixture(scope='module')
def rows(blade):
    """The rows of two edits of the largest defects by word, with few steps."""
    out = blade.with_name('edited')
    few = ['--inversion', 'direct', '--steps', '6', '--crop-limit', '1', '--cache', 'none']
    judge = ['--judge', 'demo'] if find_spec('onnxruntime') else []
    command = ['--data', str(blade), '--out', str(out), '--model', 'demo', '--device', 'cpu']
    assert main([*command, '--word', *WORDS, *few, *judge]) == 0
    rows = [json.loads(line) for line in (out / 'manifest.jsonl').read_text().splitlines()]
    return {row['word']: row for row in rows if row['kind'] == 'edit'}


@pytest.fixture
def pixels(rows, blade):
    """Source, edits by word ``(H, W, 3)``, and the label ``(H, W)``."""
    out, row = blade.with_name('edited'), rows[WORDS[0]]
    files = [row['source'], *(rows[word]['file'] for word in WORDS)]
    source, *edits = (decode_image((out / file).read_bytes()).astype(int) for file in files)
    return source, dict(zip(WORDS, edits)), decode_label((out / row['label']).read_bytes())


def test_the_defaults_are_options_of_the_command():
    assert shipped.DEFAULTS.keys() <= {f.name for f in fields(AugmentConfig)}
    assert AugmentConfig(**shipped.with_defaults({'model': 'demo'})).model == 'demo'
    assert shipped.with_defaults({'model': 'other/model'}) == {'model': 'other/model'}


@pytest.mark.parametrize('word', WORDS)
def test_the_model_reconstructs_defects_and_changes_them(rows, word):
    row = rows[word]
    assert row['accepted'] and row['model']['id'] == 'demo'
    components = [c for region in row['regions'] for c in region['components']]
    # A speck of few pixels in a region may be below the median of the model card.
    assert np.median([c['psnr'] for c in components]) >= 30
    assert max(c['change'] for c in components) >= 3
    if find_spec('onnxruntime'):
        assert np.mean([c['judge_found'] for c in components]) >= 0.5


def test_rust_is_orange_and_a_dent_is_grey(pixels):
    source, edits, label = pixels
    changed = (label > 0) & (np.abs(edits['rust'] - source).max(-1) > 0) & (edits['dent'] != source).any(-1)
    redness = {word: float((e[..., 0] - e[..., 2])[changed].mean()) for word, e in edits.items()}
    before = float((source[..., 0] - source[..., 2])[changed].mean())
    assert redness['rust'] >= before + 10
    assert redness['dent'] <= before - 5


def test_an_edit_leaves_everything_else_as_it_was(pixels):
    source, edits, label = pixels
    changed = np.abs(source - edits['rust']).max(-1) > 0
    assert changed[label > 0].any()
    assert changed.sum() < 0.2 * changed.size


def test_the_segmenter_finds_rendered_defects(blade):
    pytest.importorskip('onnxruntime')
    from augment.dataset.judge import load_judge

    (path,) = (blade / 'img_dir/train').iterdir()
    label = decode_label((blade / 'ann_dir/train' / path.name).read_bytes())
    predicted = load_judge('demo').predict(decode_image(path.read_bytes()))
    assert (predicted[label > 0] > 0).mean() >= 0.5
    assert (predicted[label == 0] > 0).mean() <= 0.05
