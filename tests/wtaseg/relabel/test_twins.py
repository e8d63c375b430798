"""``wta-seg bench twins``: ideal edits of rendered images, with labels of three kinds."""

import cv2
import numpy as np
import pytest

from wtaseg.blades.render import render
from wtaseg.blades.scene import render_blade
from wtaseg.cli import main
from wtaseg.relabel.twins import LABELS, twins_root, write_twins

SIDE, SEED = 128, 5


@pytest.fixture
def data(tmp_path):
    render(tmp_path / 'blades', dict(train=3), size=SIDE, seed=SEED)
    return tmp_path / 'blades'


def test_twins_have_copied_proposed_and_true_labels(data, capsys):
    assert main(['bench', 'twins', str(data), '--word', 'rust', '--workers', '2']) == 0
    roots = [twins_root(data, 'rust', kind) for kind in LABELS]
    assert capsys.readouterr().out.split() == [str(root) for root in roots]
    names = sorted(path.name for path in (roots[0] / 'img_dir/train').glob('*.png'))
    assert len(names) > 3 and {name for name in names if '__' not in name} == {
        path.name for path in (data / 'img_dir/train').glob('*.png')
    }
    edits = [name for name in names if '__' in name]
    closer = 0
    for name in edits:
        twin = render_blade(SEED, 'train', int(name[6:11]), SIDE, 'rust')
        source = cv2.imread(str(data / 'ann_dir/train' / name.replace('__rust', '')), cv2.IMREAD_UNCHANGED)
        copied, proposed, true = (
            cv2.imread(str(root / 'ann_dir/train' / name), cv2.IMREAD_UNCHANGED) for root in roots
        )
        assert np.array_equal(copied, source) and np.array_equal(true, twin.label)
        closer += ((copied != true).sum() - (proposed != true).sum()) > 0
        for root in roots:
            assert np.array_equal(cv2.imread(str(root / 'img_dir/train' / name)), twin.image)
    assert closer == len(edits)


def test_images_that_the_renderer_does_not_draw_are_refused(data, tmp_path):
    with pytest.raises(ValueError, match='--word mould: expected one of'):
        write_twins(data, 'mould', 1)
    image = data / 'img_dir/train/train_00001.png'
    cv2.imwrite(str(image), cv2.imread(str(image)) // 2)
    with pytest.raises(
        ValueError, match=r'train_00001.png is not the unstyled image that .*render.json describes'
    ):
        write_twins(data, 'rust', 1)
