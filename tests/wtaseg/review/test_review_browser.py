"""The page in a real browser: mouse, keys, saving, two windows and a large image."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from augment_command import edits_of, pixels
from browser import Browser, Page, needs_browser
from edited_dataset import label_with_square, make_edited_dataset, write_image

from augment.dataset.reading import encode_label
from augment.files import write_bytes

pytestmark = needs_browser
SIDE = 48


@pytest.fixture(scope='module')
def browser(tmp_path_factory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp('browser')) as browser:
        yield browser


class Review:
    """A window with the review."""

    def __init__(self, page: Page, root) -> None:
        self.page, self.root = page, root
        self.shows('train/')

    def shows(self, name: str) -> None:
        """Wait for the item of this name."""
        self.page.wait(f'document.body.dataset.item.startsWith({json.dumps(name)})')

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the image is on the screen."""
        place = self.page.evaluate(f'review.toScreen({x}, {y})')
        return place['x'], place['y']

    def drag(self, *points: tuple[float, float], button: str = 'left') -> None:
        """Draw through points of the image."""
        self.page.drag(*(self.at(*point) for point in points), button=button)

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.key(key)

    def saved(self, name: str) -> np.ndarray:
        """The label on disk once the page says that it is saved."""
        self.page.wait('document.getElementById("saved").className === "saved saved"')
        return pixels(self.root / f'ann_dir/train/{name}.png')

    def text(self, element: str) -> str:
        return self.page.evaluate(f'document.getElementById("{element}").textContent')

    def wait_for(self, element: str, text: str) -> None:
        self.page.wait(f'document.getElementById("{element}").textContent.includes({json.dumps(text)})')


@pytest.fixture
def window(browser, edited, serve) -> Review:
    return Review(browser.open(serve(edited).url), edited)


def test_draw_undo_save_reload(window):
    """A brush of one pixel is exact; what is saved is what is on disk and what a reload shows."""
    before = label_with_square(SIDE)
    window.keys('2', '[', '[', '[')
    window.drag((20.5, 30.5), (26.2, 30.4))
    window.drag((40.5, 5.5), (40.5, 5.5))
    drawn = before.copy()
    drawn[30, 20:27], drawn[5, 40] = 2, 2
    np.testing.assert_array_equal(window.saved('a0__rust'), drawn)
    window.page.key('z', 'ctrl')
    drawn[5, 40] = 0
    np.testing.assert_array_equal(window.saved('a0__rust'), drawn)
    window.page.key('z', 'ctrl')
    np.testing.assert_array_equal(window.saved('a0__rust'), before)
    assert edits_of(window.root)[0]['relabelled'] is False
    window.page.key('y', 'ctrl')
    np.testing.assert_array_equal(window.saved('a0__rust')[30, 20:27], 2)
    window.keys('n')
    window.shows('train/a1')
    window.keys('p')
    window.shows('train/a0')
    window.page.reload()
    window.shows('train/a0')
    assert window.page.evaluate('Array.from(review.ids).filter(id => id === 2).length') == 7
    window.wait_for('badges', 'label drawn')


def test_polygon_eraser_and_ignored_pixels(window):
    expected = label_with_square(SIDE)
    window.keys('g', 'i')
    for x, y in ((30, 20), (36, 20), (36, 24)):
        window.drag((x, y))
    window.drag((30, 24))
    window.keys('Enter')
    expected[20:24, 30:36] = 255
    np.testing.assert_array_equal(window.saved('a0__rust'), expected)
    window.keys('e')  # three pixels
    window.drag((11.5, 11.5))
    expected[10:13, 10:13] = 0
    np.testing.assert_array_equal(window.saved('a0__rust'), expected)
    window.keys('1')  # a class ends erasing; the right button erases with the brush
    window.drag((31.5, 21.5), (31.5, 21.5), button='right')
    expected[20:23, 30:33] = 0
    np.testing.assert_array_equal(window.saved('a0__rust'), expected)
    assert window.page.evaluate('document.querySelectorAll("#places li").length') == 1
    window.keys('r')  # the label of the source
    np.testing.assert_array_equal(window.saved('a0__rust'), label_with_square(SIDE))
    window.page.key('z', 'ctrl')
    np.testing.assert_array_equal(window.saved('a0__rust'), expected)


def test_accept_and_reject_by_keys_and_go_on(window, browser, serve):
    # with the Korean layout the key of A types another letter
    params = dict(key='ㅁ', code='KeyA', windowsVirtualKeyCode=65)
    window.page.send('Input.dispatchKeyEvent', type='keyDown', **params)
    window.shows('train/a1')
    window.keys('x')
    window.page.wait('document.getElementById("reasons").open')
    window.keys('2')
    window.shows('train/a2')
    assert [row['accepted'] for row in edits_of(window.root)] == [True, False, True, False]
    assert edits_of(window.root)[1]['reasons'] == ['rejected in review: defect not realistic']
    assert not (window.root / 'img_dir/train/a1__rust.png').exists()
    assert '2 of 3 decided' in window.text('progress-text')
    # a new program and a new window
    other = Review(browser.open(serve(window.root).url), window.root)
    assert other.text('name') == 'train/a2__rust'
    other.keys('x')
    other.page.wait('document.getElementById("reasons").open')
    other.page.evaluate('document.getElementById("reason-other").focus()')
    other.page.send('Input.insertText', text='결함이 없음')
    other.keys('Enter')
    other.wait_for('banner-text', 'Everything is decided')
    assert edits_of(window.root)[2]['reasons'] == ['rejected in review: 결함이 없음']


def test_what_can_not_be_used_can_be_rejected(browser, edited, serve):
    (edited / 'img_dir/train/a0__rust.png').write_bytes(b'no image')
    write_image(edited / 'ann_dir/train/a1__rust.png', np.zeros((SIDE, SIDE, 3)))
    window = Review(browser.open(serve(edited).url), edited)
    for name, message in (('a0', 'can not be read as an image'), ('a1', 'has mode RGB')):
        window.shows(f'train/{name}')
        window.wait_for('banner-text', message)
        window.drag((20.5, 20.5))
        window.keys('a', 'x')
        window.page.wait('document.getElementById("reasons").open')
        window.keys('5')
    window.shows('train/a2')
    assert [row['accepted'] for row in edits_of(edited)] == [False, False, True, False]


@pytest.mark.parametrize('button', ['Load the other version', 'Keep mine'])
def test_two_windows_do_not_overwrite_each_other(window, browser, serve, button):
    other = Review(browser.open(window.page.evaluate('location.href')), window.root)
    window.drag((30.5, 30.5))
    first = window.saved('a0__rust')
    other.drag((5.5, 40.5))
    other.wait_for('banner-text', 'another window')
    np.testing.assert_array_equal(pixels(window.root / 'ann_dir/train/a0__rust.png'), first)
    other.page.evaluate(
        f'[...document.querySelectorAll("#banner button")].find(b => b.textContent === "{button}").click()'
    )
    after = other.saved('a0__rust')
    if button == 'Keep mine':
        assert after[40, 5] == 1 and after[30, 30] == 0
    else:
        np.testing.assert_array_equal(after, first)
        assert other.page.evaluate(f'review.ids[30 * {SIDE} + 30]') == 1


def test_views_by_keys(browser, serve, tmp_path):
    root = make_edited_dataset(tmp_path / 'set', accepted=1, refused=0, side=200)
    window = Review(browser.open(serve(root).url), root)
    scale = window.page.evaluate('review.view.scale')
    window.keys('f')
    assert window.page.evaluate('review.view.scale') != scale
    window.keys('f')
    assert window.page.evaluate('review.view.scale') == scale
    pixel = 'document.getElementById("main").getContext("2d").getImageData(...[%d, %d], 1, 1).data[0]'
    x, y = map(int, window.at(11.5, 11.5))
    box = window.page.evaluate(
        '(r => [r.left, r.top])(document.getElementById("main").getBoundingClientRect())'
    )
    place = pixel % (x - box[0], y - box[1])
    window.keys('o', ',', ',')  # neither outline nor fill
    edit = int(pixels(window.root / 'img_dir/train/a0__rust.png')[11, 11, 0])
    source = int(pixels(window.root / 'img_dir/train/a0.png')[11, 11, 0])
    window.page.wait(f'{place} === {edit}')
    window.page.key('s', kind='keyDown')
    window.page.wait(f'{place} === {source}')
    window.page.key('s', kind='keyUp')
    window.page.key('d', kind='keyDown')
    window.page.wait(f'{place} === {min(255, 4 * (edit - source))}')
    window.page.key('d', kind='keyUp')
    window.page.wait(f'{place} === {edit}')
    window.keys('?')
    assert window.page.evaluate('document.getElementById("help").open')


def test_a_large_image(browser, serve, tmp_path):
    """2048 x 2048: it opens at its largest defect, and a stroke across it is saved to the pixel."""
    root, side = make_edited_dataset(tmp_path / 'large', accepted=1, refused=0), 2048
    label = label_with_square(side, at=1500)
    label[100:130, 300:340] = 2
    image = np.repeat(90 + 50 * label[..., None], 3, axis=2)
    for name in ('a0', 'a0__rust'):
        write_image(root / f'img_dir/train/{name}.png', image)
        write_bytes(root / f'ann_dir/train/{name}.png', encode_label(label))
    window = Review(browser.open(serve(root).url), root)
    view = window.page.evaluate('review.view')
    assert abs(view['x'] - 320) < 100 and window.text('places').startswith('broken1200 pxattached16 px')
    window.keys('c')
    view = window.page.evaluate('review.view')
    assert abs(view['x'] - 1502) < 100 and view['scale'] > 4
    window.keys('f', '2', ']', ']')
    window.drag((100, 100), (1900, 1700))
    after = window.saved('a0__rust')
    # one line of five pixels from corner to corner
    assert (after[[100, 1699], [101, 1898]] == 2).all() and 7000 < (after != label).sum() < 13000


def test_a_page_in_korean(browser, edited, serve):
    window = Review(browser.open(serve(edited).url, 'ko-KR'), edited)
    assert '승인' in window.text('accept') and window.text('saved') == '저장됨'
