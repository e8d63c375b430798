"""The colours of everything the project draws.

Two rules: pixels of a class, on any image, have the class's colour of the dataset's METAINFO; lines and bars of a
chart have the colours of :data:`SERIES`, in order.
"""

from collections.abc import Sequence

Color = tuple[int, int, int]
"""RGB, 0 to 255."""

# Okabe and Ito's palette (2008), told apart with every common colour blindness; yellow is left out, it is too pale
# for lines on white
SERIES = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000')
# one more than colours, so that no marker comes back with the same colour
MARKERS = 'osD^vPX*'
LINES = ('-', '--', ':', '-.')


def class_colors(count: int | None = None, recorded: Sequence[Sequence[int]] = ()) -> tuple[Color, ...]:
    """One RGB colour for each class, by class id.

    Args:
        count: number of classes; default: as many as the palette has.
        recorded: the palette that a run recorded; default: METAINFO of the blade dataset. Classes beyond it take
            colours of :data:`SERIES`.
    """
    if not recorded:
        from mmseg.datasets.wta import WTADataset

        recorded = WTADataset.METAINFO['palette']
    colors = [tuple(map(int, color)) for color in recorded]
    missing = 0 if count is None else max(0, count - len(colors))
    colors += [rgb(SERIES[index % len(SERIES)]) for index in range(missing)]
    return tuple(colors[:count])


def palette(count: int) -> list[list[int]]:
    """A colour for each class: black for class 0, then colours that are told apart with common colour blindness."""
    from mmseg.utils.class_names import class_colour

    series = [list(rgb(color)) for color in SERIES if color != '#000000']
    series = series[1:] + series[:1]  # vermilion first
    return [[0, 0, 0], *series, *(class_colour(index) for index in range(len(series) + 1, count))][:count]


def rgb(color: str) -> Color:
    """``'#0072B2'`` as (0, 114, 178)."""
    return tuple(bytes.fromhex(color.removeprefix('#')))


def bgr(color: Color) -> Color:
    """An RGB colour in the channel order of OpenCV."""
    return color[::-1]


def series_style(index: int) -> dict[str, str]:
    """Colour, marker and line of a curve, as keyword arguments of ``Axes.plot``."""
    return dict(
        color=SERIES[index % len(SERIES)],
        marker=MARKERS[index % len(MARKERS)],
        linestyle=LINES[index // len(SERIES) % len(LINES)],
    )
