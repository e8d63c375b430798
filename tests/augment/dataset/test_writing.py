"""Reviews of edits that consist of several regions."""

import numpy as np
from PIL import Image

from augment.config import AugmentConfig
from augment.dataset.manifest import Manifest
from augment.dataset.packed import PackedArray
from augment.dataset.pieces import Piece
from augment.dataset.reading import Sample
from augment.dataset.regions import make_region, to_working
from augment.dataset.rows import ModelIdentity
from augment.dataset.writing import EditWriter, edit_row


def test_each_defect_is_reviewed_in_the_reconstruction_of_its_own_region(tmp_path):
    """A whole image with a large defect, and a crop of another one that lies in both boxes."""
    config = AugmentConfig(resolution=128, mask_feather=0)
    label = np.zeros((128, 128), np.uint8)
    label[10:60, 10:60], label[100, 100] = 1, 1
    image = np.full((128, 128, 3), 90, np.uint8)
    sample = Sample(
        'a', tmp_path / 'a.png', tmp_path / 'a.png', 's', 'l', packed_label=PackedArray.pack(label)
    )
    pieces = []
    for box, level in (((0, 0, 128, 128), 10), ((40, 40, 104, 104), 200)):
        left, top, right, bottom = box
        mask = label[top:bottom, left:right] > 0
        if level == 10:
            mask[100, 100] = False
        else:
            mask[:20, :20] = False
        region = make_region(box, mask.astype(np.float32), mask, config)
        piece = Piece(sample, image, region, to_working(image, region))
        piece.reconstruction = np.full((*region.size, 3), level, np.uint8)
        pieces.append(piece)
    identity = ModelIdentity(id='m', revision=None, fingerprint='f')
    writer = EditWriter(config, Manifest(tmp_path / 'out'), identity)
    row = edit_row(
        config, sample, 'rust', accepted=False, reasons=[], regions=[], model=identity, metrics=None
    )
    writer.write_reconstruction(row, pieces)
    path = writer.manifest.review('reconstruction', row.source)
    written = np.array(Image.open(path))[..., 0]
    assert (written[10:60, 10:60] == 10).all() and written[100, 100] == 200
    assert written[70, 70] == 200 and written[5, 5] == 10
