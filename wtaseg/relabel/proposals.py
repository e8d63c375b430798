"""A label for an edit, from the label of its source and what the edit changed.

A pixel carries the label of a defect because it stands out from the surface. The surface under the source's defects is
estimated by inpainting, elsewhere it is the source itself, so one map says both what vanished and what came: the colour
difference in Lab between the edit and that surface, against a threshold above the noise of the reconstruction.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from augment.dataset.components import EIGHT_CONNECTED
from augment.dataset.reading import IGNORED, NORMAL, defect_mask
from augment.dataset.surface import SURFACE_GAP, surface_of
from wtaseg.relabel.options import Difference, ProposalOptions

MOST_NOISE = 2.0
"""Thresholds above which a change is none of a reconstruction, where that is not known."""

MARGIN = 24
"""Pixels around the part of an image that is relabelled, from which its surface is inpainted."""


@dataclass(frozen=True)
class Views:
    """One edit and what it is compared with: images ``(H, W, 3)`` uint8 RGB, equal in size.

    Attributes:
        source: the image that was edited.
        edited: the edit.
        reconstruction: the source inverted and reconstructed without an edit; None: not known.
        defect: probability ``(H, W)`` that a segmenter gives to a defect in the edit; None: no segmenter.
    """

    source: np.ndarray
    edited: np.ndarray
    reconstruction: np.ndarray | None = None
    defect: np.ndarray | None = None

    def cut(self, window: tuple[slice, slice]) -> 'Views':
        """The part inside ``window``."""
        arrays = (self.source, self.edited, self.reconstruction, self.defect)
        return Views(*(None if array is None else array[window] for array in arrays))


def propose(views: Views, label: np.ndarray, options: ProposalOptions | None = None) -> np.ndarray:
    """The proposed label of an edit: class ids ``(H, W)`` uint8.

    A defect pixel whose change made it look like the surface becomes normal; a changed pixel that stands out becomes a
    defect if its part reaches a defect of the source, of the class of the nearest one. Unchanged pixels, ignored ones and
    those out of reach stay as they are.

    Args:
        views: the edit and its source.
        label: class ids ``(H, W)`` uint8 of the source.
        options: None: the defaults.

    Raises:
        ValueError: the arrays differ in size.
    """
    options = options or ProposalOptions()
    for array in (views.source, views.edited, views.reconstruction, views.defect):
        if array is not None and array.shape[:2] != label.shape:
            raise ValueError(
                f'an array of {array.shape[:2]} beside a label of {label.shape}; expected one size'
            )
    result = label.copy()
    near = distance_transform_edt(~defect_mask(label)) <= options.reach if defect_mask(label).any() else None
    for window, part in () if near is None else islands(near):
        inner = part & (label[window] != IGNORED)
        proposed = propose_part(views.cut(window), label[window], inner, options)
        result[window][inner] = proposed[inner]
    return result


def islands(near: np.ndarray) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """The connected parts of ``near`` ``(H, W)`` bool, each with a window around it and its mask there."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        near.astype(np.uint8), connectivity=EIGHT_CONNECTED
    )
    for number in range(1, count):
        left, top, width, height = (int(v) for v in stats[number, : cv2.CC_STAT_AREA])
        window = (
            slice(max(0, top - MARGIN), top + height + MARGIN),
            slice(max(0, left - MARGIN), left + width + MARGIN),
        )
        yield window, parts[window] == number


def propose_part(views: Views, label: np.ndarray, near: np.ndarray, options: ProposalOptions) -> np.ndarray:
    """The label of one window, right where ``near`` ``(h, w)`` bool is True; it has a defect there."""
    defect = defect_mask(label)
    distance, (rows, columns) = distance_transform_edt(~defect, return_indices=True)
    references = [image for image in (views.source, views.reconstruction) if image is not None]
    surfaces = [surface_of(image, distance) for image in references]
    changed = least_difference(views.edited, references, options)
    visible = least_difference(views.edited, surfaces, options)
    threshold: float | np.ndarray = max(
        options.threshold, options.noise_factor * noise_of(views, changed, distance, near, options)
    )
    if views.defect is not None:
        threshold = threshold * float(options.trust) ** (1 - 2 * views.defect)
    moved = changed > options.unchanged * threshold
    mask = np.where(moved, visible > threshold, defect) & near
    filled = closed(mask, options.hole) & near & ~mask
    # gaps of a label that is as it was stay
    mask |= joined(filled, cv2.dilate(moved.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    mask = joined(mask, distance <= options.join)
    return np.where(mask, label[rows, columns], NORMAL)


def noise_of(
    views: Views, changed: np.ndarray, distance: np.ndarray, near: np.ndarray, options: ProposalOptions
) -> float:
    """Median colour difference by reconstruction alone, near the defects but beside them.

    Without a reconstruction it is that of the edit, in the outer half of the reach: most of it is surface that the edit
    has only reconstructed. Pixels that changed by more than MOST_NOISE thresholds are left out there.
    """
    if views.reconstruction is not None:
        around = near & (distance > SURFACE_GAP)
        changed = least_difference(views.reconstruction, [views.source], options)
    else:
        around = near & (distance > options.reach / 2) & (changed <= MOST_NOISE * options.threshold)
    return float(np.median(changed[around])) if around.any() else 0.0


def least_difference(image: np.ndarray, others: list[np.ndarray], options: ProposalOptions) -> np.ndarray:
    """Colour difference ``(h, w)`` of ``image`` to the most similar of ``others``, pixel by pixel."""
    return np.min(
        [color_difference(image, other, options.difference, options.smoothing) for other in others], axis=0
    )


def color_difference(a: np.ndarray, b: np.ndarray, formula: Difference, smoothing: float) -> np.ndarray:
    """Colour difference ``(h, w)`` of two images ``(h, w, 3)`` uint8 sRGB.

    Args:
        a, b: the images.
        formula: ``cie76``, the distance in Lab, or ``ciede2000``.
        smoothing: standard deviation in pixels of a Gaussian blur of the differences (of their Lab vectors with
            ``cie76``); the result is the smaller of the blurred difference, which has less noise, and the sharp one,
            which ends at edges. 0: the sharp one.
    """
    first, second = (cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for image in (a, b))
    if formula == 'cie76':
        vectors = first - second
    else:
        from skimage.color import deltaE_ciede2000

        vectors = deltaE_ciede2000(first, second).astype(np.float32)[..., None]
    sharp = np.linalg.norm(vectors, axis=2)
    if not smoothing:
        return sharp
    soft = cv2.GaussianBlur(vectors, (0, 0), smoothing).reshape(vectors.shape)
    return np.minimum(sharp, np.linalg.norm(soft, axis=2))


def closed(mask: np.ndarray, largest_hole: int) -> np.ndarray:
    """``mask`` ``(h, w)`` bool closed by 3 x 3, its enclosed gaps of at most ``largest_hole`` pixels filled."""
    mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    _, parts, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] <= largest_hole
    border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    small[0] = False
    small[border] = False
    return mask | small[parts]


def joined(mask: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """The 8-connected parts of ``mask`` ``(h, w)`` bool that have a pixel of ``anchor`` ``(h, w)`` bool."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=EIGHT_CONNECTED)
    chosen = np.zeros(count, bool)
    chosen[parts[anchor & mask]] = True
    return chosen[parts] & mask
