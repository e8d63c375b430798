"""The defects of a region one by one, each against a ring of surface around it.

A component is an 8-connected part of the label of one class. Its ring is every pixel without a defect at a distance in
(RING_GAP, RING_GAP + RING_WIDTH], or farther where fewer than RING_PIXELS are free. With ``t`` the pixels of a component
less the mean of its ring, in one image, ``s`` the same in the source, and ``Σ`` the covariance of the ring's colours
(levels of 255 of sRGB, three channels):

- signal: ``|s|² / sqrt(sum sᵀΣs)``, the signal-to-noise ratio of the matched filter ``s``;
- contrast: ``sqrt(|mean t|² - tr Σ / n + excess)``. The subtracted term is the noise of a mean of ``n`` pixels;
  ``excess`` is the variance of ``t`` above that of the ring and its sampling error, which counts defects of light and
  dark parts;
- kept by the VAE and by the reconstruction: ``sum t·s / sum s·s``, the share of the source's pattern in the image;
- kept by the edit: its contrast divided by that of the source, since an edit may change the colours. The ring is here
  that of the reconstruction: an edited defect often grows beyond its label and covers the ring.

A component of a signal below VISIBLE cannot be told from the surface by its own pixels (Rose 1948: the criterion of 5).
Such faint components are judged together, all of one class in a region, as their signals add up.

Levels of sRGB and not CIELAB: on dark metal CIELAB enlarges the noise of the camera, and at equal false alarms it
recognised fewer of the vanished defects on rendered images (docs/augment.md).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from augment.dataset.quality import DECIMALS, OPTIONAL, psnr
from augment.dataset.reading import IGNORED, NORMAL

RING_GAP = 1.0
"""Pixels next to a component that are left out of its ring: they mix defect and surface."""

RING_WIDTH = 4.0
RING_PIXELS = 24
"""Fewest pixels of a ring: the standard error of its mean is then a fifth of the surface's noise."""

VISIBLE = 5.0
"""Signal from which a component is judged by itself (Rose 1948, J. Opt. Soc. Am. 38(2): 196-208)."""

ROUNDING = 1 / 12
"""Variance of rounding to whole levels, the least noise of a channel."""

EXCESS_MARGIN = 3.0
"""Standard errors of the variance by which a component must exceed its ring to count as structured."""

CLASS_NAMES = {1: 'attached', 2: 'broken'}
CLASS_COLOURS = {1: (255, 0, 0), 2: (0, 255, 0)}
"""The palette of the WTA dataset; other classes are drawn in OTHER_COLOUR."""

OTHER_COLOUR = (0, 220, 255)
EIGHT_CONNECTED = 8

Points = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Stages:
    """One region from source to edit, all ``(h, w, 3)`` uint8 at the native size of its box."""

    source: np.ndarray
    round_trip: np.ndarray
    reconstruction: np.ndarray
    edited: np.ndarray


@dataclass(frozen=True)
class Component:
    """One defect of a region: rows and columns of its pixels and of its ring's, which may be empty."""

    class_id: int
    inside: Points
    ring: Points

    @property
    def area(self) -> int:
        """Pixels of the defect."""
        return len(self.inside[0])

    @property
    def box(self) -> list[int]:
        """Bounding box (left, top, right, bottom) in the region."""
        rows, columns = self.inside
        return [int(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]


@dataclass(frozen=True, kw_only=True)
class ComponentRecord:
    """Figures of one component, or of ``count`` faint ones of one class judged together.

    Attributes:
        defect: Name of the class.
        box: Bounding box (left, top, right, bottom) in the image.
        area: Pixels.
        signal: Signal-to-noise ratio in the source.
        contrast: Contrast in the source, in levels of 255.
        vae_psnr: VAE round trip against source inside the label, in dB.
        psnr: Reconstruction against source inside the label, in dB.
        change: Edit against reconstruction inside the label, mean absolute difference in levels of 255.
        vae_kept, reconstruction_kept, edit_kept: Shares of the source's contrast; None where the signal is too weak.
        judge_defect: Share of the pixels that the segmenter of ``--judge`` predicts as a defect.
        judge_class: Share that it predicts as the component's own class.
        judge_found: Whether the segmenter finds the component in the edit.
        judge_found_before: The same in the source.
    """

    defect: str
    count: int
    box: list[int]
    area: int
    signal: float
    contrast: float
    vae_psnr: float
    psnr: float
    change: float
    vae_kept: float | None = field(default=None, metadata=OPTIONAL)
    reconstruction_kept: float | None = field(default=None, metadata=OPTIONAL)
    edit_kept: float | None = field(default=None, metadata=OPTIONAL)
    judge_defect: float | None = field(default=None, metadata=OPTIONAL)
    judge_class: float | None = field(default=None, metadata=OPTIONAL)
    judge_found: bool | None = field(default=None, metadata=OPTIONAL)
    judge_found_before: bool | None = field(default=None, metadata=OPTIONAL)


def class_name(class_id: int) -> str:
    """Name of a defect class."""
    return CLASS_NAMES.get(class_id, f'class {class_id}')


def find_components(label: np.ndarray, mask: np.ndarray) -> list[Component]:
    """The components of ``label`` ``(h, w)`` uint8 inside ``mask``, by class, from the largest down.

    Rings avoid every defect of ``label``, also those outside ``mask``, and ignored pixels.
    """
    free = label == NORMAL
    result = []
    for class_id in sorted(set(np.unique(label).tolist()) - {NORMAL, IGNORED}):
        chosen = ((label == class_id) & mask).astype(np.uint8)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(chosen, connectivity=EIGHT_CONNECTED)
        for number in sorted(range(1, count), key=lambda i: (-int(stats[i, cv2.CC_STAT_AREA]), i)):
            left, top, width, height = (int(v) for v in stats[number, : cv2.CC_STAT_AREA])
            inside = parts[top : top + height, left : left + width] == number
            rows, columns = np.nonzero(inside)
            points = rows + top, columns + left
            result.append(Component(class_id, points, ring_around(points, free)))
    return result


def ring_around(inside: Points, free: np.ndarray) -> Points:
    """Rows and columns of the ring around the pixels ``inside``, chosen from ``free`` ``(h, w)`` bool."""
    reach = int(RING_GAP + RING_WIDTH) + 1
    for margin in (reach, 4 * reach, max(free.shape)):
        top, left = (max(0, int(axis.min()) - margin) for axis in inside)
        bottom, right = (int(axis.max()) + margin + 1 for axis in inside)
        window = free[top:bottom, left:right]
        outside = np.ones(window.shape, bool)
        outside[inside[0] - top, inside[1] - left] = False
        distance = distance_transform_edt(outside)
        usable = window & (distance > RING_GAP)
        ring = usable & (distance <= RING_GAP + RING_WIDTH)
        if ring.sum() >= RING_PIXELS:
            break
    else:
        nearest = np.sort(distance[usable])[:RING_PIXELS]
        ring = usable & (distance <= nearest[-1]) if len(nearest) else usable
    rows, columns = np.nonzero(ring)
    return rows + top, columns + left


@dataclass(frozen=True)
class Residual:
    """A component in an image: pixels ``(n, 3)`` less the ring's mean, and the ring's covariance ``(3, 3)``."""

    pixels: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, component: Component, image: np.ndarray, surface: np.ndarray) -> 'Residual':
        """``component`` in ``image`` against its ring, which is not empty, in ``surface``, both ``(h, w, 3)``."""
        ring = surface[component.ring].astype(np.float64)
        mean = ring.mean(0)
        covariance = (ring - mean).T @ (ring - mean) / len(ring) + ROUNDING * np.eye(3)
        return cls(image[component.inside] - mean, covariance)


def signal(parts: Sequence[Residual]) -> float:
    """Signal-to-noise ratio of the residuals of the source as their own matched filter."""
    energy = sum(float((p.pixels**2).sum()) for p in parts)
    noise = sum(float(((p.pixels @ p.covariance) * p.pixels).sum()) for p in parts)
    return energy / noise**0.5 if noise else 0.0


def contrast(parts: Sequence[Residual]) -> float:
    """Contrast of components together, in levels of 255."""
    pixels = np.concatenate([p.pixels for p in parts])
    n, mean = len(pixels), pixels.mean(0)
    surface = sum(len(p.pixels) * float(np.trace(p.covariance)) for p in parts) / n
    square = max(0.0, float(mean @ mean) - surface / n)
    if n > 1:
        variance = float(((pixels - mean) ** 2).sum()) / (n - 1)
        square += max(0.0, variance - surface * (1 + EXCESS_MARGIN * (2 / (n - 1)) ** 0.5))
    return square**0.5


def pattern_kept(parts: Sequence[Residual], source: Sequence[Residual]) -> float:
    """Share of the source's pattern in an image: 1 where it is unchanged, about 0 where it was painted over."""
    energy = sum(float((s.pixels**2).sum()) for s in source)
    return sum(float((p.pixels * s.pixels).sum()) for p, s in zip(parts, source)) / energy


Judging = Callable[[Component], dict[str, float | bool]]


def measure_components(
    components: Sequence[Component],
    stages: Stages,
    corner: tuple[int, int],
    judging: Judging | None = None,
) -> list[ComponentRecord]:
    """Figures of each component, and of the faint ones of a class together.

    Args:
        components: Of one region.
        stages: The region's images.
        corner: (left, top) of the region in the image.
        judging: Gives the judge's figures of a component.

    Returns:
        One record for each of ``components``, in their order, and then those of groups of faint ones.
    """
    records = [measure_group([component], stages, corner, judging) for component in components]
    for class_id in sorted({c.class_id for c in components}):
        pairs = [(c, r) for c, r in zip(components, records) if c.class_id == class_id]
        faint = [component for component, record in pairs if record.signal < VISIBLE]
        if len(faint) > 1:
            records.append(measure_group(faint, stages, corner, judging))
    return records


def measure_group(
    group: Sequence[Component], stages: Stages, corner: tuple[int, int], judging: Judging | None
) -> ComponentRecord:
    """Figures of components of one class taken together."""
    rows, columns = (np.concatenate([c.inside[axis] for c in group]) for axis in (0, 1))
    joint = Component(group[0].class_id, (rows, columns), (rows[:0], columns[:0]))
    inside = {f.name: getattr(stages, f.name)[joint.inside] for f in fields(stages)}
    change = np.abs(inside['edited'].astype(np.int16) - inside['reconstruction']).mean()
    figures = {
        'vae_psnr': psnr(inside['source'], inside['round_trip']),
        'psnr': psnr(inside['source'], inside['reconstruction']),
        'change': float(change),
        **contrast_figures([c for c in group if len(c.ring[0])], stages),
        **(judging(joint) if judging else {}),
    }
    return ComponentRecord(
        defect=class_name(joint.class_id),
        count=len(group),
        box=[value + corner[i % 2] for i, value in enumerate(joint.box)],
        area=joint.area,
        **{
            name: value if isinstance(value, bool) else round(value, DECIMALS)
            for name, value in figures.items()
        },
    )


def contrast_figures(group: Sequence[Component], stages: Stages) -> dict[str, float]:
    """Signal and contrast of components with rings, and what is kept of it where the signal suffices."""
    if not group:
        return {'signal': 0.0, 'contrast': 0.0}
    source = [Residual.of(c, stages.source, stages.source) for c in group]
    figures = {'signal': signal(source), 'contrast': contrast(source)}
    if figures['signal'] >= VISIBLE:
        round_trip = [Residual.of(c, stages.round_trip, stages.round_trip) for c in group]
        reconstruction = [Residual.of(c, stages.reconstruction, stages.reconstruction) for c in group]
        edited = [Residual.of(c, stages.edited, stages.reconstruction) for c in group]
        figures['vae_kept'] = pattern_kept(round_trip, source)
        figures['reconstruction_kept'] = pattern_kept(reconstruction, source)
        if figures['contrast']:
            figures['edit_kept'] = contrast(edited) / figures['contrast']
    return figures


def worst_of(records: Sequence[ComponentRecord]) -> Iterator[tuple[str, float]]:
    """Name and worst value of the figures that ``Metrics`` holds for all components of a region."""
    for name in ('vae_psnr', 'psnr', 'vae_kept', 'reconstruction_kept', 'edit_kept'):
        values = [value for r in records if (value := getattr(r, name)) is not None]
        if values:
            yield f'defect_{name}', min(values)
