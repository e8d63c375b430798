"""Where the label of an edit comes from, and rows that are replaced."""

import json
from dataclasses import replace

import pytest
from augment_command import edits_of
from edited_dataset import label_with_square, make_edited_dataset

from augment.dataset.manifest import Manifest, update_rows, with_written_label
from augment.dataset.reading import encode_label
from augment.dataset.rows import DRAWN, PROPOSED, REVIEWED, read_rows
from augment.files import sha256, write_bytes


@pytest.fixture
def root(tmp_path):
    return make_edited_dataset(tmp_path / 'set')


@pytest.fixture
def row(root):
    return Manifest(root).rows['img_dir/train/a0__rust.png']


def test_only_the_given_rows_change(root, row):
    before = (root / 'manifest.jsonl').read_bytes().splitlines()
    update_rows(root, [replace(row, relabelled=REVIEWED)])
    after = (root / 'manifest.jsonl').read_bytes().splitlines()
    (changed,) = [n for n, (old, new) in enumerate(zip(before, after)) if old != new]
    assert json.loads(after[changed])['relabelled'] == REVIEWED and len(before) == len(after)


def test_a_row_that_is_not_merged_yet_is_replaced_too(root, row):
    manifest = Manifest(root)
    manifest.add(row)
    update_rows(root, [replace(row, relabelled=DRAWN)])
    assert Manifest(root).rows[row.file].relabelled == DRAWN


@pytest.mark.parametrize('recorded', [False, PROPOSED, REVIEWED, DRAWN])
def test_a_label_keeps_its_origin_until_it_changes(root, row, recorded):
    path = root / row.label
    row = replace(row, relabelled=recorded, written_label_sha256=sha256(path))
    assert with_written_label(root, row) == row
    write_bytes(path, encode_label(label_with_square(48, at=20)))
    changed = with_written_label(root, row)
    assert (changed.relabelled, changed.written_label_sha256) == (DRAWN, sha256(path))
    write_bytes(path, (root / 'ann_dir/train/a0.png').read_bytes())
    assert with_written_label(root, changed).relabelled is False


def test_earlier_manifests_said_true_for_a_drawn_label(root):
    path = root / 'manifest.jsonl'
    text = path.read_text()
    path.write_text(text.replace('"relabelled": false', '"relabelled": true', 1))
    assert [row.relabelled for row in Manifest(root).rows.values()][:2] == [DRAWN, False]
    path.write_text(text.replace('"relabelled": false', '"relabelled": "guessed"', 1))
    with pytest.raises(
        ValueError, match="relabelled is 'guessed'; expected false or one of proposed, reviewed"
    ):
        list(read_rows(path))
    assert len(edits_of(root)) == 4
