"""The shipped weights: a real edit, reconstructed, changed and accepted; skipped where the installation has none."""

import json
from dataclasses import fields

import numpy as np
import pytest

from augment import shipped
from augment.config import AugmentConfig
from augment.dataset.reading import decode_image, decode_label
from augment.run import main

with_model = pytest.mark.skipif(
    not (shipped.WEIGHTS / 'model_index.json').is_file(), reason='no weights of the demo model here'
)
with_segmenter = pytest.mark.skipif(not shipped.SEGMENTER.is_file(), reason='no segmenter here')


@pytest.fixture(scope='module')
def blade(tmp_path_factory):
    """A dataset of one rendered image with a few defects."""
    from wtaseg.blades.dataset import render_dataset

    folder = tmp_path_factory.mktemp('shipped') / 'blade'
    list(render_dataset(folder, {'train': 1, 'val': 1, 'test': 1}, size=256, seed=3))
    return folder


@pytest.fixture(scope='module')
def row(blade):
    """The row of one edit of the two largest defects, with few steps."""
    out = blade.with_name('edited')
    few = ['--inversion', 'direct', '--steps', '6', '--crop-limit', '2', '--word', 'rust', '--cache', 'none']
    status = main(['--data', str(blade), '--out', str(out), '--model', 'demo', '--device', 'cpu', *few])
    rows = [json.loads(line) for line in (out / 'manifest.jsonl').read_text().splitlines()]
    (row,) = (r for r in rows if r['kind'] == 'edit')
    assert (status == 0) == row['accepted']
    return row


def test_the_defaults_are_options_of_the_command():
    assert shipped.DEFAULTS.keys() <= {f.name for f in fields(AugmentConfig)}
    assert AugmentConfig(**shipped.with_defaults({'model': 'demo'})).model == 'demo'
    assert shipped.with_defaults({'model': 'other/model'}) == {'model': 'other/model'}


@with_model
def test_the_model_reconstructs_defects_and_changes_them(row):
    assert row['accepted'] and row['model']['id'] == 'demo'
    components = [c for region in row['regions'] for c in region['components']]
    # A speck of few pixels in a region may be below the median of the model card.
    assert np.median([c['psnr'] for c in components]) >= 30
    assert max(c['change'] for c in components) >= 3


@with_model
def test_an_edit_leaves_everything_else_as_it_was(row, blade):
    out = blade.with_name('edited')
    source = decode_image((out / row['source']).read_bytes()).astype(int)
    edited = decode_image((out / row['file']).read_bytes()).astype(int)
    label = decode_label((out / row['label']).read_bytes())
    changed = np.abs(source - edited).max(-1) > 0
    assert changed[label > 0].any()
    assert changed.sum() < 0.2 * changed.size


@with_segmenter
def test_the_segmenter_finds_rendered_defects(blade):
    pytest.importorskip('onnxruntime')
    from augment.dataset.judge import load_judge

    (path,) = (blade / 'img_dir/train').iterdir()
    label = decode_label((blade / 'ann_dir/train' / path.name).read_bytes())
    predicted = load_judge('demo').predict(decode_image(path.read_bytes()))
    assert (predicted[label > 0] > 0).mean() >= 0.5
    assert (predicted[label == 0] > 0).mean() <= 0.05
