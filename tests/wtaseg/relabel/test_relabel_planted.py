"""Edits of planted defects are relabelled and reviewed against the image with the defects, not the normal one."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from edited_dataset import label_with_square, make_edited_dataset, write_image

from augment.dataset.manifest import Manifest, update_rows, with_written_label
from augment.dataset.reading import encode_label
from augment.dataset.rows import Planting
from augment.files import sha256, write_bytes
from wtaseg.relabel.command import relabel
from wtaseg.relabel.options import ProposalOptions
from wtaseg.review.items import find_items
from wtaseg.review.store import Store

LABEL = label_with_square(48)


@pytest.fixture
def planted(tmp_path):
    """An accepted edit a0 and one that a gate refused, r0, whose sources are normal; the defect of a0 has grown."""
    root = make_edited_dataset(tmp_path / 'set_plant_rust', accepted=1, grown=2)
    rows = []
    for row in Manifest(root).rows.values():
        name = row.file.split('/')[-1].split('__')[0]
        normal = cv2.imread(str(root / row.source))
        image = normal.copy()
        image[LABEL > 0] += 60
        planting = Planting(
            image=f'review/planted/train/{name}__plant1.png',
            label=f'review/planted_labels/train/{name}__plant1.png',
            label_sha256='',
            defects=[],
        )
        write_image(root / planting.image, image[..., ::-1])
        write_bytes(root / planting.label, encode_label(LABEL))
        planting = replace(planting, label_sha256=sha256(root / planting.label))
        write_bytes(root / row.source.replace('img_dir', 'ann_dir'), encode_label(LABEL * 0))
        rows.append(replace(row, mode='plant', planting=planting))
    update_rows(root, rows)
    return root


def test_a_planted_label_is_a_copy_and_a_proposal_starts_from_it(planted):
    (row,) = (row for row in Manifest(planted).rows.values() if row.accepted)
    assert row.mode == 'plant' and with_written_label(planted, row).relabelled is False
    assert relabel(planted, ProposalOptions()).proposed == 1
    proposed = cv2.imread(str(planted / row.label), cv2.IMREAD_UNCHANGED)
    assert (proposed[LABEL > 0] == 1).mean() > 0.8 and np.count_nonzero(proposed) > 1.3 * np.count_nonzero(
        LABEL
    )


def test_the_review_shows_the_image_before_the_edit_and_its_label(planted):
    store = Store(planted, find_items(planted), 3)
    for item in store.items:
        assert store.source_path(item).name == f'{item.name[6:8]}__plant1.png'
        np.testing.assert_array_equal(store.source_label(item), LABEL)
    refused = next(item for item in store.items if item.refused)
    store.decide(refused, 'accepted', '', store.state(refused).version)
    np.testing.assert_array_equal(cv2.imread(str(planted / refused.label), cv2.IMREAD_UNCHANGED), LABEL)


@pytest.mark.parametrize('path', ['../outside.png', 'img_dir/train/a0.png', '/tmp/x.png'])
def test_a_planting_that_points_elsewhere_is_refused(planted, path):
    (row,) = (row for row in Manifest(planted).rows.values() if row.accepted)
    moved = replace(row, planting=replace(row.planting, image=path))
    with pytest.raises(ValueError, match=r'manifest\.jsonl, line \d+: path '):
        update_rows(planted, [moved])
