"""The command after a review of its edits in the browser."""

import shutil

import numpy as np
from augment_command import WORDS, edits_of, pixels

from augment.run import main
from wtaseg.review.items import find_items
from wtaseg.review.store import Store


def test_decisions_and_labels_of_a_review_are_kept(reference, blades, arguments, tmp_path):
    out = shutil.copytree(reference, tmp_path / 'out')
    store = Store(out, find_items(out), 3)
    drawn, reviewed, rejected = store.items[:3]
    ids, state = store.label(drawn)
    ids[:9, :9] = 2
    store.save(drawn, ids, state.version)
    store.decide(reviewed, 'accepted', '', store.state(reviewed).version)
    store.decide(rejected, 'rejected', 'blurred', store.state(rejected).version)
    before = (out / 'manifest.jsonl').read_bytes()
    assert main(arguments(blades, '--out', str(out), '--word', *WORDS, '--summary')) == 0
    assert (out / 'manifest.jsonl').read_bytes() == before
    rows = {row['file']: row for row in edits_of(out)}
    assert [rows[item.image].get('relabelled') for item in (drawn, reviewed)] == ['drawn', 'reviewed']
    assert rows[rejected.image]['reasons'] == ['rejected in review: blurred']
    assert not (out / rejected.image).exists()
    np.testing.assert_array_equal(pixels(out / drawn.label), ids)
