"""One image of the dataset: view, part, distractors, defects, style, camera.

    blade = render_blade(seed=0, split='train', index=3, size=512, style='rust')
    blade.image  # (512, 512, 3) uint8 BGR
    blade.label  # (512, 512) uint8: 0 normal, 1 attached, 2 broken

``style`` is None (the unstyled twin) or one of ``styles.STYLES``: scratch, rust, peeling, corrosion,
blistering, dent. ``render_styles`` gives the twin and all styles of one scene at once.
"""

from dataclasses import dataclass

import numpy as np

from .budget import defect_pixels
from .camera import Exposure, optics
from .defects import draw_defects
from .distractors import scatter_dust, stain_surface
from .geometry import Frame
from .part import BLADE_WIDTH, render_part
from .styles import GROW, STYLES, restyle
from .styles.canvas import distance_from
from .surface import Part

#: Least share of metal in view; a view of table or background would have no room for defects.
MIN_METAL = 0.5

#: Entry of the seed sequence that numbers each split: their images never share a seed.
SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Blade:
    """A rendered image ``(H, W, 3)`` BGR uint8 and its label map ``(H, W)`` uint8 with 0, 1 and 2."""

    image: np.ndarray
    label: np.ndarray


def _look(rng: np.random.Generator, size: int) -> Frame:
    zoom = float(np.clip(np.exp(rng.normal(0.12, 0.33)), 0.7, 2.4))
    scale = zoom * size / 512
    frame = Frame(rng.uniform(0, 2 * np.pi), scale, (0.0, 0.0))
    # Half of the views show an edge, as the pockets near it are where particles gather.
    near = rng.uniform(20, 230)
    y = rng.choice([near, BLADE_WIDTH - near, rng.uniform(0.1, 0.9) * BLADE_WIDTH], p=[0.35, 0.2, 0.45])
    shift = size / 2 - frame.to_image(np.array([[0.0, y]]))[0]
    return Frame(frame.angle, scale, (float(shift[0]), float(shift[1])))


def _view(rng: np.random.Generator, size: int) -> Part:
    for _ in range(8):
        part = render_part(rng, size, _look(rng, size))
        if part.metal.mean() >= MIN_METAL:
            break
    return part


def metal_of(seed: int, split: str, index: int, size: int) -> np.ndarray:
    """Where an image shows metal, ``(H, W)`` bool: neither background nor hole; arguments as :func:`render_blade`."""
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    return _view(rng, size).metal > 0.5


def render_blade(seed: int, split: str, index: int, size: int, style: str | None = None) -> Blade:
    """Render one image of a dataset; the same arguments give the same pixels.

    Args:
        seed: The dataset's seed, 0 or more.
        split: One of ``SPLITS``.
        index: Place in the split, from 0.
        size: Side in pixels.
        style: One of the words of ``styles.STYLES``, or None for the unstyled image.

    Raises:
        ValueError: ``style`` is no such word.
    """
    return render_styles(seed, split, index, size, (style,))[style]


def render_styles(
    seed: int, split: str, index: int, size: int, words: tuple[str | None, ...] = (None, *STYLES)
) -> dict[str | None, Blade]:
    """Render one image in several styles, by word; None is the unstyled twin.

    Each equals what :func:`render_blade` gives, but the scene is drawn once. Farther than
    ``styles.GROW`` pixels from the labels of both, a styled image equals its twin pixel for pixel.

    Raises:
        ValueError: A word is unknown.
    """
    unknown = [word for word in words if word is not None and word not in STYLES]
    if unknown:
        raise ValueError(f'style {unknown[0]!r} does not exist; take None or one of {", ".join(STYLES)}.')
    number = SPLITS.index(split)
    offset = np.random.default_rng([seed, number]).random(2)
    attached, broken = defect_pixels(offset, index, size)
    rng = np.random.default_rng([seed, number, index])
    part = _view(rng, size)
    stain_surface(rng, part)
    scene = optics(rng, part.image, part.frame.scale * 512 / size)
    scatter_dust(rng, part, scene)
    clean = scene.copy()
    label = draw_defects(rng, part, scene, attached, broken)
    exposure = Exposure.draw(rng, size, size)
    twin = Blade(exposure.take(scene), label)
    blades = {}
    for word in words:
        if word is None or not label.any():
            blades[word] = twin
            continue
        style_rng = np.random.default_rng([seed, number, index, 1 + tuple(STYLES).index(word)])
        styled, new_label = restyle(style_rng, word, part, clean, scene, label)
        near = distance_from((label > 0) | (new_label > 0)) <= GROW
        image = np.where(near[..., None], exposure.take(styled), twin.image)
        blades[word] = Blade(image, new_label)
    return blades
