"""The renderer: shares of the classes, the same bytes from any number of processes, going on after a stop."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from wtaseg.blades import budget
from wtaseg.blades.dataset import render_dataset
from wtaseg.blades.layer import Layer
from wtaseg.blades.scene import render_blade
from wtaseg.blades.sheet import sheet_of_dataset
from wtaseg.cli import render as render_blades

SIZE = 96


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob('*.png'))}


@pytest.fixture(scope='module')
def rendered(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('blades') / 'set'
    for _ in render_dataset(out, dict(train=4, val=2, test=2), SIZE, seed=7):
        pass
    return out


@pytest.mark.parametrize('count', [80, 200])
@pytest.mark.parametrize('seed', range(5))
def test_budgets_meet_the_shares(seed, count):
    """Any stretch of the sequence has the published shares; independent draws miss them by a third."""
    offset = np.random.default_rng(seed).random(2)
    drawn = np.array([budget.defect_pixels(offset, i, 512) for i in range(count)])
    share = drawn.mean(0) / 512**2
    tolerance = 0.1 if count == 200 else 0.2
    assert share == pytest.approx([0.0020, 0.0003], rel=tolerance)
    assert 0.2 < (drawn[:, 0] == 0).mean() < 0.45
    assert 0.4 < (drawn[:, 1] == 0).mean() < 0.65


def test_shares_of_rendered_images_follow_the_budget():
    budgets, labelled = np.zeros(2), np.zeros(2)
    offset = np.random.default_rng([3, 0]).random(2)
    for index in range(24):
        budgets += budget.defect_pixels(offset, index, 256)
        label = render_blade(3, 'train', index, 256).label
        assert label.max() <= 2
        labelled += np.bincount(label.ravel(), minlength=3)[1:]
    # Groups are never cut, so small budgets overshoot, the more so in small images.
    assert labelled == pytest.approx(budgets, rel=0.25)


def test_labels_lie_on_what_was_drawn():
    """The same image with and without its defects differs where the label says, and nearly only there."""
    from wtaseg.blades import scene

    seen = {}
    original = scene.draw_defects

    def spy(rng, part, image, attached, broken):
        before = image.copy()
        seen['label'] = original(rng, part, image, attached, broken)
        seen['change'] = np.abs(image - before).max(-1)
        return seen['label']

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene, 'draw_defects', spy)
        patch.setattr(scene, 'defect_pixels', lambda *_: (500, 250))
        label = scene.render_blade(1, 'train', 0, 256).label
    assert (label == 1).sum() > 300 and (label == 2).sum() > 150
    visible = seen['change'] > 12
    assert visible[label > 0].mean() > 0.85
    near = cv2.dilate((label > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert visible[~near].sum() < 0.01 * (label > 0).sum()


def test_layer_covers_exact_pixels():
    """A 4 by 2 rectangle with borders between pixels labels its 8 pixels and paints them alone."""
    layer = Layer(16, softness=0.0)
    # Pixel centres are whole numbers; the fine points just inside the borders at 2.5 and 6.5.
    layer.area(np.array([[2.7, 4.7], [6.3, 4.7], [6.3, 6.3], [2.7, 6.3]]), (10, 20, 30), 1.0)
    mask = layer.labelled(np.ones((16, 16), bool))
    expected = np.zeros((16, 16), bool)
    expected[5:7, 3:7] = True
    np.testing.assert_array_equal(mask, expected)
    image = np.full((16, 16, 3), 100, np.float32)
    layer.lay_onto(image, np.ones((16, 16), np.float32))
    np.testing.assert_allclose(image[expected], [[10, 20, 30]] * 8, atol=1)
    assert (image[~expected] == 100).all()


def test_looks_like_dark_metal_on_white(rendered):
    pixels = np.concatenate([cv2.imread(str(p)).reshape(-1, 3) for p in rendered.glob('img_dir/*/*.png')])
    assert 60 < np.median(pixels) < 100
    white = (pixels > 250).all(1).mean()
    assert 0.01 < white < 0.5


def test_same_files_from_two_processes(rendered, tmp_path):
    out = tmp_path / 'again'
    results = list(render_dataset(out, dict(train=4, val=2, test=2), SIZE, seed=7, workers=2))
    assert len(results) == 8 and all(r.drawn for r in results)
    assert files(out) == files(rendered)


def test_no_two_images_are_equal(rendered):
    images = [data for name, data in files(rendered).items() if name.startswith('img_dir')]
    assert len(set(images)) == len(images) == 8


def test_goes_on_where_it_stopped(rendered, tmp_path):
    out = tmp_path / 'set'
    counts = dict(train=4, val=2, test=2)
    list(render_dataset(out, counts, SIZE, seed=7))
    broken = out / 'img_dir/train/train_00001.png'
    broken.write_bytes(broken.read_bytes()[:300])
    (out / 'ann_dir/val/val_00000.png').unlink()
    first = out / 'img_dir/train/train_00000.png'
    stamp = first.stat().st_mtime_ns
    assert sum(r.drawn for r in render_dataset(out, counts, SIZE, seed=7)) == 2
    assert files(out) == files(rendered)
    assert first.stat().st_mtime_ns == stamp
    assert not [p for p in out.rglob('.*') if p.is_file()]


def test_more_images_keep_the_first(rendered, tmp_path):
    out = tmp_path / 'set'
    list(render_dataset(out, dict(train=2), SIZE, seed=7))
    list(render_dataset(out, dict(train=4, val=2, test=2), SIZE, seed=7))
    assert files(out) == files(rendered)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--seed', '8'], 'Delete that folder or choose another --out'),
        (['--train', '3'], 'beyond the asked counts'),
        (['--size', '32'], 'at least 64'),
        (['--train', '-1'], 'negative'),
        (['--train', '0', '--val', '0', '--test', '0'], 'Nothing to render'),
        (['--workers', '0'], 'at least one process'),
    ],
)
def test_refuses_with_a_remedy(rendered, options, message, capsys):
    base = ['--out', str(rendered), '--train', '4', '--val', '2', '--test', '2', '--size', str(SIZE)]
    before = files(rendered)
    assert render_blades.main([*base, '--seed', '7', '--workers', '1', *options]) == 1
    assert message in capsys.readouterr().err
    assert files(rendered) == before


def test_leaves_a_foreign_dataset_alone(tmp_path, capsys):
    (tmp_path / 'img_dir/train').mkdir(parents=True)
    assert render_blades.main(['--out', str(tmp_path), '--train', '1', '--workers', '1']) == 1
    assert 'was not rendered here' in capsys.readouterr().err


def test_contact_sheet(rendered, tmp_path):
    target = tmp_path / 'docs' / 'sheet.png'
    sheet_of_dataset(rendered, 'train', target, count=3)
    sheet = cv2.imread(str(target))
    assert sheet.shape == (3 * 244, 5 * 244, 3)
    with pytest.raises(FileNotFoundError, match='render the split first'):
        sheet_of_dataset(tmp_path, 'train', target)
