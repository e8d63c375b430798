"""Labels and decisions on disk: exact, atomic, of the latest version, and resumed after a stop or a kill."""

import json

import numpy as np
import pytest
from augment_command import edits_of, pixels
from edited_dataset import label_with_square, write_image

from augment.dataset.manifest import Manifest, with_written_label
from wtaseg.io import draft
from wtaseg.review import store as store_module
from wtaseg.review.classes import classes_of
from wtaseg.review.items import find_items
from wtaseg.review.records import read_decisions
from wtaseg.review.store import ConflictError, Store

EDIT = 'train/a0__rust'


def item_of(store, name=EDIT):
    return next(item for item in store.items if item.name == name)


def draw(store, item, value=2):
    ids, state = store.label(item)
    ids[:3, :3] = value
    return ids, store.save(item, ids, state.version)


def row_of(root, name=EDIT):
    return next(row for row in edits_of(root) if row['label'] == f'ann_dir/{name}.png')


def reopened(store):
    return Store(store.root, find_items(store.root), store.num_classes)


def test_edits_are_listed_with_those_that_a_gate_refused(store):
    assert [item.name for item in store.items] == [f'train/{name}__rust' for name in ('a0', 'a1', 'a2', 'r0')]
    refused = item_of(store, 'train/r0__rust')
    assert refused.source == 'img_dir/train/r0.png' and 'vanished' in refused.refused[0]
    # its label is the source's until it is accepted
    np.testing.assert_array_equal(store.label(refused)[0], label_with_square(48))


def test_a_drawn_label_is_saved_to_the_pixel_and_recorded(store):
    item = item_of(store)
    ids, state = draw(store, item)
    np.testing.assert_array_equal(pixels(store.root / item.label), ids)
    assert pixels(store.root / item.label).dtype == np.uint8 and state.relabelled == 'drawn'
    assert row_of(store.root)['relabelled'] == 'drawn'
    np.testing.assert_array_equal(pixels(store.root / item.earlier_label), label_with_square(48))


def test_a_label_drawn_back_is_what_it_was(store):
    item = item_of(store)
    before = (store.root / item.label).read_bytes()
    _, state = draw(store, item)
    state = store.save(item, label_with_square(48), state.version)
    assert (store.root / item.label).read_bytes() == before and state.relabelled == ''
    assert not (store.root / item.earlier_label).exists() and row_of(store.root)['relabelled'] is False


def test_accepting_marks_the_label_as_reviewed_or_drawn(store):
    first, second = store.items[:2]
    _, state = draw(store, first)
    assert store.decide(first, 'accepted', '', state.version).relabelled == 'drawn'
    assert store.decide(second, 'accepted', '', store.state(second).version).relabelled == 'reviewed'
    assert [row['relabelled'] for row in edits_of(store.root)[:2]] == ['drawn', 'reviewed']
    # the next run of augment reads the labels again and keeps this
    rows = [with_written_label(store.root, row) for row in Manifest(store.root).rows.values() if row.accepted]
    assert [row.relabelled for row in rows] == ['drawn', 'reviewed', False]


def test_a_rejected_edit_leaves_the_dataset_and_comes_back(store):
    item = item_of(store)
    ids, state = draw(store, item)
    image = (store.root / item.image).read_bytes()
    state = store.decide(item, 'rejected', 'defect vanished', state.version)
    assert not (store.root / item.image).exists() and not (store.root / item.label).exists()
    assert (store.root / item.rejected_image).read_bytes() == image
    row = row_of(store.root)
    assert (row['accepted'], row['reasons']) == (False, ['rejected in review: defect vanished'])
    assert Manifest(store.root).is_done(item.image)  # augment does not make it again
    again = reopened(store)
    assert item_of(again).refused == () and again.state(item_of(again)) == state
    again.decide(item, 'accepted', '', state.version)
    assert (store.root / item.image).read_bytes() == image
    np.testing.assert_array_equal(pixels(store.root / item.label), ids)
    assert row_of(store.root)['accepted'] and row_of(store.root)['relabelled'] == 'drawn'
    assert Manifest(store.root).is_done(item.image)


def test_an_edit_that_a_gate_refused_can_be_accepted(store):
    item = item_of(store, 'train/r0__rust')
    store.decide(item, 'accepted', '', store.state(item).version)
    assert (store.root / item.image).is_file()
    np.testing.assert_array_equal(pixels(store.root / item.label), label_with_square(48))
    assert row_of(store.root, item.name)['accepted'] and Manifest(store.root).is_done(item.image)


@pytest.mark.parametrize('other', ['label', 'decision', 'program'])
def test_an_older_version_overwrites_nothing(store, other):
    item = item_of(store)
    ids, state = store.label(item)
    if other == 'label':
        draw(store, item)
    elif other == 'decision':
        store.decide(item, 'accepted', '', state.version)
    else:
        write_image(store.root / item.label, label_with_square(48, at=20))
    before = (store.root / item.label).read_bytes()
    with pytest.raises(ConflictError) as conflict:
        store.save(item, ids + 1, state.version)
    with pytest.raises(ConflictError):
        store.decide(item, 'rejected', '', state.version)
    assert (store.root / item.label).read_bytes() == before
    store.save(item, ids + 1, conflict.value.state.version)


def test_a_write_that_fails_leaves_the_old_label(store, monkeypatch):
    item = item_of(store)
    before = (store.root / item.label).read_bytes()

    def full_disk(path, content):
        with draft(path) as part:
            part.write_bytes(content[:10])
            raise OSError(28, 'No space left on device')

    monkeypatch.setattr(store_module, 'write', full_disk)
    with pytest.raises(OSError, match='No space'):
        draw(store, item)
    assert (store.root / item.label).read_bytes() == before
    assert not list(store.root.rglob('.*.part'))


@pytest.mark.parametrize('killed_at', ['_move', '_update_manifest'])
@pytest.mark.parametrize('decision', ['rejected', 'accepted'])
def test_a_decision_that_a_kill_interrupts_is_finished(store, monkeypatch, killed_at, decision):
    item = item_of(store, EDIT if decision == 'rejected' else 'train/r0__rust')
    with monkeypatch.context() as patch:
        patch.setattr(Store, killed_at, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.decide(item, decision, '', store.state(item).version)
    again = reopened(store)
    assert again.state(item).decision == decision
    assert (store.root / item.image).is_file() == (decision == 'accepted')
    assert row_of(store.root, item.name)['accepted'] == (decision == 'accepted')


def test_an_edit_made_again_is_to_be_decided_again(store):
    item = item_of(store)
    store.decide(item, 'rejected', '', store.state(item).version)
    (store.root / item.rejected_image).unlink()
    write_image(store.root / item.image, np.full((48, 48, 3), 7))
    text = (store.root / 'manifest.jsonl').read_text().splitlines()
    rows = [json.loads(line) for line in text]
    for row in rows:
        if row['file'] == item.image:
            row.update(accepted=True, reasons=[])
    (store.root / 'manifest.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    again = reopened(store)
    assert again.state(item).decision == '' and (store.root / item.image).is_file()


def test_it_goes_on_after_the_item_decided_last(store):
    assert store.next_item() == 0
    store.decide(store.items[1], 'accepted', '', store.state(store.items[1]).version)
    assert reopened(store).next_item() == 2
    assert store.summary() == '1 of 3 decided: 1 accepted, 0 rejected; 1 refused by a gate'
    for item in (store.items[2], store.items[0]):
        store.decide(item, 'rejected', 'blurred', store.state(item).version)
    assert reopened(store).next_item() == 0
    assert list(read_decisions(store.root)) == [store.items[n].image for n in (1, 2, 0)]


def test_any_dataset_can_be_reviewed(blades, tmp_path):
    import shutil

    root = shutil.copytree(blades, tmp_path / 'blades')
    (root / 'ann_dir/train/0.png').unlink()
    store = Store(root, find_items(root), 3)
    assert [item.name for item in store.items[:2]] == ['train/0', 'train/1'] and len(store.items) == 24
    first, second = store.items[:2]
    assert not store.label(first)[0].any()  # without a label: all normal
    store.decide(first, 'accepted', '', store.state(first).version)
    assert not pixels(root / first.label).any()
    store.decide(second, 'rejected', 'wrong image', store.state(second).version)
    assert not (root / second.image).exists()
    again = reopened(store)
    assert [item.name for item in again.items] == [item.name for item in store.items]
    assert again.state(second).decision == 'rejected' and not (root / 'manifest.jsonl').exists()
    assert [item.name for item in find_items(root, ['val', 'test'])][::8] == ['val/0', 'test/0']


@pytest.mark.parametrize(
    ('ids', 'message'),
    [
        (np.zeros((48, 40), np.uint8), 'load the image again'),
        (np.full((48, 48), 3, np.uint8), 'holds 3, expected'),
    ],
)
def test_labels_of_other_sizes_or_classes_are_refused(store, ids, message):
    item = item_of(store)
    with pytest.raises(ValueError, match=message):
        store.save(item, ids, store.state(item).version)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda root: None, 'nowhere/img_dir does not exist'),
        (lambda root: (root / 'img_dir/train').mkdir(parents=True), 'holds no image in train'),
        (lambda root: write_image(root / 'img_dir/val/a.png', np.zeros((4, 4))), 'choose --split from val'),
    ],
)
def test_folders_without_anything_to_review(tmp_path, make, message):
    make(tmp_path / 'nowhere')
    with pytest.raises(FileNotFoundError, match=message):
        find_items(tmp_path / 'nowhere', ['train'] if 'split' in message else [])


def test_links_to_the_outside_are_refused(edited, tmp_path):
    secret = tmp_path / 'secret.png'
    write_image(secret, np.zeros((48, 48, 3)))
    (edited / 'img_dir/train/a0__rust.png').unlink()
    (edited / 'img_dir/train/a0__rust.png').symlink_to(secret)
    with pytest.raises(ValueError, match='link to the outside'):
        find_items(edited)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('{"file": "a"', 'line 1: no row of a review'),
        ('{"file": "a", "decision": "perhaps"}', "line 1: decision is 'perhaps'"),
        ('{"file": "a", "reason": 5}', 'line 1: a value is no text'),
    ],
)
def test_damaged_decisions_are_named(edited, line, message):
    path = edited / 'review/decisions.jsonl'
    path.write_text(line + '\n')
    with pytest.raises(ValueError, match=message):
        read_decisions(edited)


def test_classes_come_from_the_options_the_record_or_the_blade_dataset(tmp_path):
    assert classes_of(tmp_path).names == ('normal', 'attached', 'broken')
    assert classes_of(tmp_path).colors[1] == (255, 0, 0)
    (tmp_path / 'dataset.json').write_text('{"settings": {"classes": ["normal", "dent"]}}')
    assert classes_of(tmp_path).names == ('normal', 'dent')
    assert classes_of(tmp_path, ['ok', 'burr', 'rust']).names == ('ok', 'burr', 'rust')
    with pytest.raises(ValueError, match='at least two different names'):
        classes_of(tmp_path, ['ok', 'ok'])
