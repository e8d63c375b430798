"""The six styles: equal to the unstyled twin outside the labels, true labels, words that can be told apart."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from wtaseg.blades.dataset import STYLES_FILE, render_dataset
from wtaseg.blades.scene import SPLITS, render_blade, render_styles
from wtaseg.blades.style_sheet import write_style_sheet
from wtaseg.blades.styles import GROW, NONE, STYLES, StyleMix
from wtaseg.cli import render

SIZE = 128
SEEDS = range(6)

#: SHA-256 of image and label bytes of a few unstyled images, taken before the renderer knew any style.
UNSTYLED = {
    (0, 'train', 0, 128): '5b22c07200cc3bd3e7445c1d6ac6a7d5231f4ab1262f80c67798d0cffe14d875',
    (0, 'train', 3, 128): 'd9821ed2294ab797b41c0c76476cf2bcd2e33dced6c9881ccf9c38ed64d79682',
    (7, 'val', 1, 128): '53722990b4648a72d36bd77dce06b9067c0ebd5b0a046800b80499c48bf16252',
    (3, 'test', 5, 256): '4340d53b2eca7970aa375bc306fedfc4f9307d35c3d5c4a3b6a619a4ad7f5f3c',
    (0, 'train', 11, 256): '234dda06c9498a29372b794e2adeb075f0a686760c9723dfb5a15ae59bf3c629',
}


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) <= pixels


@pytest.fixture(scope='module')
def scenes() -> list[dict]:
    """Images with attached and broken defects: by word the twin (None), all styles, and ``'clean'``."""
    from wtaseg.blades import scene

    draw = scene.draw_defects

    def forget(rng, part, image, attached, broken):
        """Draws the same random numbers, and nothing onto the image."""
        return np.zeros_like(draw(rng, part, image.copy(), attached, broken))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene, 'defect_pixels', lambda *_: (260, 160))
        styled = [dict(render_styles(seed, 'train', 0, SIZE)) for seed in SEEDS]
        patch.setattr(scene, 'draw_defects', forget)
        for seed, blades in zip(SEEDS, styled):
            blades['clean'] = render_blade(seed, 'train', 0, SIZE)
    return styled


@pytest.mark.parametrize('which', UNSTYLED)
def test_unstyled_images_keep_their_bytes(which):
    blade = render_blade(*which)
    assert hashlib.sha256(blade.image.tobytes() + blade.label.tobytes()).hexdigest() == UNSTYLED[which]


@pytest.mark.parametrize('word', STYLES)
def test_equals_the_twin_outside_the_grown_labels(word, scenes):
    for blades in scenes:
        twin, styled = blades[None], blades[word]
        outside = ~grown((twin.label > 0) | (styled.label > 0), GROW)
        assert outside.mean() > 0.1
        np.testing.assert_array_equal(styled.image[outside], twin.image[outside])
        assert (styled.image != twin.image)[twin.label > 0].mean() > 0.5


@pytest.mark.parametrize('word', STYLES)
def test_labels_are_true(word, scenes):
    """What is labelled differs from the bare metal, and what differs is labelled or beside a label."""
    for blades in scenes:
        styled, clean = blades[word], blades['clean']
        change = np.abs(styled.image.astype(float) - clean.image).max(-1)
        assert set(np.unique(styled.label)) == {0, 1, 2}
        assert (change > 9)[styled.label > 0].mean() > 0.8
        visible = change > 24
        beside = grown(styled.label > 0, 2)
        assert visible[~beside].sum() < 0.03 * visible.sum()


@pytest.mark.parametrize('word', STYLES)
def test_no_defect_is_lost(word, scenes):
    """Beside every defect of the twin there is a styled label, mostly of its class."""
    for blades in scenes:
        twin, styled = blades[None].label, blades[word].label
        count, parts, stats, _ = cv2.connectedComponentsWithStats((twin > 0).astype(np.uint8), connectivity=8)
        for k in range(1, count):
            if stats[k, cv2.CC_STAT_AREA] >= 3:
                assert styled[grown(parts == k, GROW)].any()
        for value in (1, 2):
            assert (styled[twin == value] == value).mean() > 0.6
            # Where it changes class a defect of the other class is near.
            assert not (styled[grown(twin == value, 1) & ~grown(twin == 3 - value, 4)] == 3 - value).any()


def test_one_scene_or_many_give_the_same():
    together = render_styles(2, 'val', 1, SIZE)
    for word in (None, 'rust', 'dent'):
        alone = render_blade(2, 'val', 1, SIZE, word)
        np.testing.assert_array_equal(alone.image, together[word].image)
        np.testing.assert_array_equal(alone.label, together[word].label)


def test_an_image_without_defects_is_its_twin():
    empty = next(i for i in range(40) if not render_blade(0, 'train', i, 64).label.any())
    twin, styled = (render_blade(0, 'train', empty, 64, word) for word in (None, 'rust'))
    np.testing.assert_array_equal(styled.image, twin.image)
    assert not styled.label.any()


def test_unknown_word_is_refused():
    with pytest.raises(ValueError, match="'mould' does not exist"):
        render_blade(0, 'train', 0, 64, 'mould')


def _figures(blades: dict, word: str) -> dict[str, float]:
    """Simple statistics of the styled pixels of attached defects: hue, tone and fineness."""
    image, inside = blades[word].image.astype(np.float32), blades[word].label == 1
    blue, green, red = image[inside].mean(0)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    rough = np.abs(cv2.Laplacian(grey, cv2.CV_32F))[inside].mean()
    return dict(
        orange=(red - blue) / (red + blue),
        green=(green - (red + blue) / 2) / green,
        bright=np.percentile(grey[inside], 98),
        dark=np.percentile(grey[inside], 10),
        rough=rough,
    )


def test_words_differ_in_simple_statistics(scenes):
    """Each word is the extreme of the figure that describes its material."""
    mean = {
        word: {
            key: np.mean([_figures(blades, word)[key] for blades in scenes])
            for key in _figures(scenes[0], word)
        }
        for word in STYLES
    }

    def most(key: str) -> str:
        return max(mean, key=lambda word: mean[word][key])

    assert most('orange') == 'rust'
    assert most('green') == 'corrosion'
    assert min(mean, key=lambda word: mean[word]['rough']) == 'dent'
    assert mean['corrosion']['bright'] < min(mean[w]['bright'] for w in ('scratch', 'peeling', 'blistering'))


def test_attached_and_broken_stay_apart(scenes):
    """Attached defects are warmer, broken ones brighter, in every word."""
    for word in STYLES:
        colour = {value: [] for value in (1, 2)}
        for blades in scenes:
            for value in (1, 2):
                colour[value].append(blades[word].image[blades[word].label == value].mean(0))
        attached, broken = (np.mean(colour[value], 0) for value in (1, 2))
        assert attached[2] / attached[0] > broken[2] / broken[0]
        assert broken.mean() > attached.mean()


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob('*.*')) if p.is_file()}


def test_same_files_from_two_processes_and_going_on(tmp_path):
    counts, styles = dict(train=5, val=1), ('none=0.2', 'rust=0.4', 'dent=0.4')
    list(render_dataset(tmp_path / 'one', counts, 64, 7, styles=styles))
    list(render_dataset(tmp_path / 'two', counts, 64, 7, workers=2, styles=styles))
    assert files(tmp_path / 'one') == files(tmp_path / 'two')
    words = json.loads((tmp_path / 'one' / STYLES_FILE).read_text())
    assert len(words) == 6 and set(words.values()) <= {NONE, 'rust', 'dent'}
    for name, word in words.items():
        split, index = Path(name).parent.name, int(Path(name).stem.split('_')[1])
        blade = render_blade(7, split, index, 64, None if word == NONE else word)
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'one/img_dir' / name)), blade.image)
    again = list(render_dataset(tmp_path / 'one', counts, 64, 7, styles=('dent=0.4', 'rust=0.4', 'none=0.2')))
    assert not any(result.drawn for result in again)


def test_other_styles_for_a_folder_are_refused(tmp_path, capsys):
    base = [
        '--out',
        str(tmp_path),
        '--train',
        '2',
        '--val',
        '0',
        '--test',
        '0',
        '--size',
        '64',
        '--workers',
        '1',
    ]
    assert render.main([*base, '--style', 'rust', 'peeling']) == 0
    before = files(tmp_path)
    for other in (['--style', 'rust'], ['--style', 'rust=0.3', 'peeling=0.7'], []):
        assert render.main([*base, *other]) == 1
        assert 'Delete that folder or choose another --out' in capsys.readouterr().err
    assert files(tmp_path) == before


def test_an_unstyled_folder_is_as_before(tmp_path):
    list(render_dataset(tmp_path, dict(train=1), 64, styles=('none',)))
    assert json.loads((tmp_path / 'render.json').read_text()) == {'renderer': 1, 'seed': 0, 'size': 64}
    assert not (tmp_path / STYLES_FILE).exists()


@pytest.mark.parametrize('count', [60, 200])
def test_a_mix_meets_its_shares(count):
    """Any stretch of images has the shares, however the seed shifts the sequence."""
    mix = StyleMix.parse(['none=0.5', 'rust=0.25', 'peeling=0.25'])
    for seed in range(5):
        words = [mix.word(seed, SPLITS.index('train'), index) for index in range(count)]
        for word, share in ((None, 0.5), ('rust', 0.25), ('peeling', 0.25)):
            assert words.count(word) / count == pytest.approx(share, abs=2.5 / count)


def test_words_without_shares_are_equal_and_the_order_does_not_matter():
    assert StyleMix.parse(['rust', 'dent']) == StyleMix.parse(['dent=0.5', 'rust=0.5'])
    assert StyleMix.parse([]) == StyleMix.parse(['none']) and not StyleMix.parse(['none']).styled


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['mould'], 'no such style'),
        (['rust', 'rust'], 'given twice'),
        (['rust', 'dent=0.5'], 'every word'),
        (['rust=0.5', 'dent=0.4'], 'sum to 0.9'),
        (['rust=2'], 'between 0 and 1'),
        (['rust=nan'], 'between 0 and 1'),
        (['rust=much'], 'between 0 and 1'),
    ],
)
def test_a_wrong_mix_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        StyleMix.parse(words)


def test_style_sheet(tmp_path):
    target = tmp_path / 'sheet.png'
    write_style_sheet(target, seed=0)
    sheet = cv2.imread(str(target))
    assert sheet.shape[1] > 7 * 190 and sheet.shape[0] > 6 * 190
    assert target.stat().st_size < 500_000
