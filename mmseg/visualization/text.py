"""Text in images, also in Korean: a font that has the letters is looked for on the system."""

import unicodedata
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

#: Names of fonts with Korean letters, in the order of preference; others are found by their letters.
KOREAN = (
    'nanum',
    'noto sans cjk',
    'noto sans kr',
    'malgun',
    'apple sd gothic',
    'applegothic',
    'undotum',
    'baekmuk',
)
#: Drawn where no font has a letter.
REPLACEMENT = '?'
INK = (34, 34, 34)


@cache
def default_font() -> str:
    """The file of DejaVu Sans that is part of matplotlib."""
    import matplotlib

    return str(Path(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf'))


@cache
def letters(path: str) -> frozenset[int]:
    """Code points that a font file has; empty for a file that can not be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (RuntimeError, OSError):
        return frozenset()


@cache
def find_font(needed: frozenset[int]) -> str | None:
    """File of an installed font with all of these code points, Korean fonts first; None: there is none."""
    from matplotlib import font_manager

    fonts = font_manager.fontManager.ttflist
    # Last Resort has a box with the name of its script for every letter
    paths = {path: path for path in font_manager.findSystemFonts()} | {
        font.fname: font.name for font in fonts
    }

    def rank(path: str) -> tuple[int, str]:
        name = f'{paths[path]} {Path(path).stem}'.lower()
        return next((index for index, known in enumerate(KOREAN) if known in name), len(KOREAN)), path

    usable = [path for path in sorted(paths, key=rank) if 'lastresort' not in Path(path).stem.lower()]
    return next((path for path in usable if needed <= letters(path)), None)


@cache
def _note_missing(script: str) -> None:
    warnings.warn(
        f'no installed font has {script}, so they are drawn as {REPLACEMENT!r}; install one, for example '
        'apt install fonts-nanum',
        stacklevel=4,
    )


def font_for(text: str) -> tuple[str, str]:
    """The font file to draw a text with, and the text as that font can draw it.

    Letters that macOS stores in parts are composed. A note is given once where no installed font has the letters.
    """
    text = unicodedata.normalize('NFC', text)
    needed = frozenset(map(ord, text)) - {10}
    missing = needed - letters(default_font())
    if not missing:
        return default_font(), text
    if path := find_font(needed):
        return path, text
    _note_missing(
        'Korean letters' if any(0xAC00 <= code <= 0xD7A3 for code in missing) else 'all letters of a name'
    )
    return default_font(), ''.join(REPLACEMENT if ord(letter) in missing else letter for letter in text)


def font_families(texts: Iterable[str]) -> list[str]:
    """Families for matplotlib's ``font.family``: DejaVu Sans, then one that has the letters it lacks."""
    from matplotlib import font_manager

    path, _ = font_for(''.join(texts))
    families = ['DejaVu Sans']
    if path != default_font():
        font_manager.fontManager.addfont(path)
        families.append(font_manager.FontProperties(fname=path).get_name())
    return families


def text_width(text: str, size: int) -> int:
    """Width of a text in pixels, at a font size in pixels."""
    path, text = font_for(text)
    return round(ImageFont.truetype(path, size).getlength(text))


def write_text(
    image: np.ndarray, text: str, place: tuple[int, int], size: int, color: tuple[int, int, int] = INK
) -> None:
    """Write a line of text into an image, in place.

    Args:
        image: ``(H, W, 3)`` uint8, RGB.
        text: one line.
        place: (x, y) of its upper left corner.
        size: of the font, in pixels.
        color: RGB, 0 to 255.
    """
    path, text = font_for(text)
    canvas = Image.fromarray(image)
    ImageDraw.Draw(canvas).text(place, text, fill=color, font=ImageFont.truetype(path, size))
    image[:] = np.asarray(canvas)


def shortened(text: str, size: int, width: int) -> str:
    """A text that fits a width in pixels, its middle left out where it is longer."""
    text = unicodedata.normalize('NFC', text)
    if text_width(text, size) <= width:
        return text
    for count in range(len(text) - 1, 1, -1):
        short = f'{text[: (count + 1) // 2]}…{text[len(text) - count // 2 :]}'
        if text_width(short, size) <= width:
            return short
    return text[:1]
