"""One image of the dataset: view, part, distractors, defects, camera."""

from dataclasses import dataclass

import numpy as np

from .budget import defect_pixels
from .camera import expose, optics
from .defects import draw_defects
from .distractors import scatter_dust, stain_surface
from .geometry import Frame
from .part import BLADE_WIDTH, render_part
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


def render_blade(seed: int, split: str, index: int, size: int) -> Blade:
    """Renders one image of a dataset; the same arguments give the same pixels.

    Args:
        seed: The dataset's seed.
        split: One of ``SPLITS``.
        index: Place in the split, from 0.
        size: Side in pixels.
    """
    number = SPLITS.index(split)
    offset = np.random.default_rng([seed, number]).random(2)
    attached, broken = defect_pixels(offset, index, size)
    rng = np.random.default_rng([seed, number, index])
    part = _view(rng, size)
    stain_surface(rng, part)
    image = optics(rng, part.image, part.frame.scale * 512 / size)
    scatter_dust(rng, part, image)
    label = draw_defects(rng, part, image, attached, broken)
    return Blade(expose(rng, image), label)
