"""``wta-seg relabel`` writes proposals into an augmented dataset, and never over a label of a person."""

import json
from dataclasses import replace

import numpy as np
import pytest
from edited_dataset import label_with_square, make_edited_dataset, write_image
from PIL import Image

from augment.dataset.manifest import Manifest, update_rows, with_written_label
from augment.files import sha256
from wtaseg.cli import main
from wtaseg.relabel import relabeller
from wtaseg.relabel.command import copy_dataset, relabel
from wtaseg.relabel.options import ProposalOptions
from wtaseg.relabel.records import PROPOSALS
from wtaseg.review.store import Store

OPTIONS = ProposalOptions()


@pytest.fixture
def edited(tmp_path):
    """Four accepted edits a0 to a3 whose defect grew by two pixels, and a refused one."""
    return make_edited_dataset(tmp_path / 'set_aug_rust', accepted=4, grown=2)


def rows(root):
    return {
        row.file.split('/')[-1].split('__')[0]: row for row in Manifest(root).rows.values() if row.accepted
    }


def pixels(path):
    return np.array(Image.open(path))


def write_drawn(root, name):
    """A label that a person has drawn."""
    path = root / f'ann_dir/train/{name}__rust.png'
    write_image(path, label_with_square(48, at=30))
    return path.read_bytes()


def test_labels_are_proposed_and_recorded(edited, capsys):
    assert main(['relabel', str(edited)]) == 0
    out = capsys.readouterr().out
    assert '4 labels proposed' in out and len(out.strip().splitlines()) == 1
    for row in rows(edited).values():
        label = edited / row.label
        assert row.relabelled == 'proposed' and row.written_label_sha256 == sha256(label)
        assert np.count_nonzero(pixels(label)) > 1.5 * np.count_nonzero(
            pixels(edited / 'ann_dir/train/a0.png')
        )
        assert with_written_label(edited, row) == row  # the next run of augment keeps it
    assert pixels(edited / 'review/proposals.png').ndim == 3
    records = [json.loads(line) for line in (edited / PROPOSALS).read_text().splitlines()]
    assert {record['file'] for record in records} == {row.file for row in rows(edited).values()}
    assert records[0]['options']['threshold'] == OPTIONS.threshold


def test_a_second_run_does_nothing_and_other_parameters_propose_again(edited):
    first = relabel(edited, OPTIONS)
    before = (edited / 'manifest.jsonl').read_bytes()
    again = relabel(edited, OPTIONS)
    assert (first.proposed, again.proposed, again.before) == (4, 0, 4)
    assert (edited / 'manifest.jsonl').read_bytes() == before
    other = relabel(edited, ProposalOptions(reach=1))
    assert other.proposed == 4 and other.added < first.added
    assert [row.relabelled for row in rows(edited).values()] == ['proposed'] * 4


def test_labels_of_a_person_stay(edited):
    drawn = write_drawn(edited, 'a0')  # not in the manifest
    recorded = write_drawn(edited, 'a1')
    reviewed = rows(edited)['a2']
    path = edited / rows(edited)['a1'].label
    update_rows(
        edited,
        [
            replace(rows(edited)['a1'], relabelled='drawn', written_label_sha256=sha256(path)),
            replace(reviewed, relabelled='reviewed'),
        ],
    )
    copied = (edited / reviewed.label).read_bytes()
    summary = relabel(edited, OPTIONS)
    assert summary.proposed == 1 and summary.left == {'drawn': 2, 'reviewed': 1}
    assert '2 drawn labels left, 1 reviewed labels left' in str(summary)
    assert (edited / rows(edited)['a0'].label).read_bytes() == drawn
    assert path.read_bytes() == recorded
    assert (edited / reviewed.label).read_bytes() == copied
    # and a proposal that is then drawn over stays as well
    drawn = write_drawn(edited, 'a3')
    assert relabel(edited, ProposalOptions(reach=1)).left['drawn'] == 3
    assert (edited / rows(edited)['a3'].label).read_bytes() == drawn


@pytest.mark.parametrize('stage', ['labels', 'manifest'])
def test_a_run_that_is_killed_is_continued(edited, monkeypatch, stage):
    real = relabeller.write

    def write_one(path, content):
        real(path, content)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if stage == 'labels':
            patch.setattr(relabeller, 'write', write_one)
        else:
            patch.setattr(
                relabeller, 'update_rows', lambda root, rows: (_ for _ in ()).throw(KeyboardInterrupt)
            )
        with pytest.raises(KeyboardInterrupt):
            relabel(edited, OPTIONS)
    assert all(row.relabelled is False for row in rows(edited).values())
    summary = relabel(edited, OPTIONS)
    assert summary.proposed == 4 and not summary.left
    assert all(row.written_label_sha256 == sha256(edited / row.label) for row in rows(edited).values())


def test_a_changed_reconstruction_proposes_again(edited):
    relabel(edited, OPTIONS)
    write_image(edited / 'review/reconstruction/train/a0.png', pixels(edited / 'img_dir/train/a0.png'))
    assert relabel(edited, OPTIONS).proposed == 1


def test_a_stale_proposal_is_no_drawn_label(edited):
    relabel(edited, OPTIONS)
    data = make_data(edited)
    dropped = Manifest(edited).drop_stale(data)
    assert dropped and not any((edited / f'ann_dir/train/a{n}__rust.png').exists() for n in range(4))


def make_data(root):
    """The originals of ``root``, their labels changed since."""
    from augment.dataset.reading import read_dataset

    for path in (root / 'ann_dir/train').glob('a?.png'):
        write_image(path, label_with_square(48, at=12))
    data = read_dataset(root, 'train', [])
    return replace(data, samples=[sample for sample in data.samples if '__' not in sample.name])


def test_a_copy_is_relabelled_and_the_dataset_stays(edited, tmp_path, capsys):
    before = {path: path.read_bytes() for path in edited.rglob('*') if path.is_file()}
    copy = tmp_path / 'copy'
    for proposed in (4, 0):
        assert main(['relabel', str(edited), '--out', str(copy)]) == 0
        assert f'{copy}: {proposed} labels proposed' in capsys.readouterr().out
    assert {path: path.read_bytes() for path in edited.rglob('*') if path.is_file()} == before
    assert rows(copy)['a0'].relabelled == 'proposed'
    with pytest.raises(ValueError, match='lie in one another'):
        copy_dataset(edited, edited / 'copy')


def test_the_review_shows_a_proposal_and_records_its_acceptance(edited):
    from wtaseg.review.classes import classes_of
    from wtaseg.review.items import find_items

    relabel(edited, OPTIONS)
    store = Store(edited, find_items(edited), len(classes_of(edited).names))
    item = store.items[0]
    assert store.state(item).relabelled == 'proposed'
    store.decide(item, 'accepted', '', store.state(item).version)
    assert rows(edited)['a0'].relabelled == 'reviewed'
    assert relabel(edited, ProposalOptions(reach=1)).left == {'reviewed': 1}


class StubSegmenter:
    """Finds a defect in the upper half of every image."""

    sha256 = 'stub'

    def defect(self, image):
        return np.repeat([0.0, 1.0][::-1], 24)[:, None] * np.ones(48)


def test_a_segmenter_takes_part(edited):
    alone = relabel(edited, ProposalOptions(threshold=25))
    together = relabel(edited, ProposalOptions(threshold=25, trust=3), StubSegmenter())
    assert together.proposed == 4 and together.added > alone.added
    assert json.loads((edited / PROPOSALS).read_text().splitlines()[0])['segmenter'] == 'stub'


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda root: (root / 'manifest.jsonl').unlink(), 'give a dataset that wta-seg augment wrote'),
        (lambda root: (root / 'ann_dir/train/a1.png').write_bytes(b'no png'), 'ann_dir/train/a1.png: '),
        (lambda root: (root / 'img_dir/train/a1.png').unlink(), 'a1.png'),
        (lambda root: (root / PROPOSALS).write_text('{}\n'), 'proposals.jsonl, line 1: no row of a proposal'),
    ],
    ids=['no manifest', 'label', 'source', 'record'],
)
def test_what_can_not_be_used_is_named(edited, damage, message, capsys):
    (edited / 'review').mkdir(exist_ok=True)
    damage(edited)
    assert main(['relabel', str(edited)]) == 1
    error = capsys.readouterr().err.strip()
    assert message in error and '\n' not in error
