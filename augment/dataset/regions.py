"""Which parts of an image are edited, and how they are composited back.

A region is a box of the image with a weight for each pixel: 1 takes the edit, 0 keeps the source to the bit. With
``blend='label'`` the weight is the label mask, dilated and feathered; otherwise it is 1 over the box. A box is the
whole image or a square around defects: five pixels are less than one latent cell at 512², while a crop of 128² enlarged
to 512² gives them one or two cells.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from augment.config import SIZE_MULTIPLE, AugmentConfig
from augment.dataset.packed import PackedArray
from augment.dataset.reading import defect_mask

Box = tuple[int, int, int, int]

MIN_ENLARGEMENT = 2
"""A crop at least so many times smaller than the image is edited on its own; with less gain, the whole image is."""


@dataclass(frozen=True)
class Region:
    """A box ``(left, top, right, bottom)`` in native pixels, edited at ``size = (height, width)``.

    The two masks are kept compressed, so that all regions of a dataset fit into memory.
    """

    box: Box
    size: tuple[int, int]
    packed_weight: PackedArray
    packed_mask: PackedArray

    @property
    def weight(self) -> np.ndarray:
        """Share of the edit, float32 in [0, 1], of the box's height and width."""
        return self.packed_weight.array()

    @property
    def mask(self) -> np.ndarray:
        """Where the defect is that the edit should change: bool, of the box's height and width."""
        return self.packed_mask.array()


def plan_regions(label: np.ndarray, config: AugmentConfig) -> list[Region]:
    """The regions of an image with ``label`` ``(H, W)``, largest defect first.

    Empty when there is nothing to edit: no defect under ``blend='label'`` or ``crop='defect'``.
    """
    defect = defect_mask(label)
    height, width = label.shape
    whole = (0, 0, width, height)
    if not defect.any():
        if config.blend == 'label' or config.crop == 'defect':
            return []
        everywhere = np.ones(label.shape, bool)
        return [make_region(whole, everywhere.astype(np.float32), everywhere, config)]
    weight = feathered(defect, config.mask_dilate, config.mask_feather)
    boxes = [(whole, weight)] if config.crop == 'none' else crop_boxes(weight, config)
    if config.crop != 'none' and config.crop_limit:
        boxes = boxes[: config.crop_limit]
    regions = []
    for box, box_weight in boxes:
        inside_box = cut(box_weight, box)
        edited = inside_box if config.blend == 'label' else border_ramp(box, label.shape, config.mask_feather)
        regions.append(make_region(box, edited, inside_box > 0, config))
    return regions


def make_region(box: Box, weight: np.ndarray, mask: np.ndarray, config: AugmentConfig) -> Region:
    """A region whose working size follows from its box."""
    size = working_size(box[3] - box[1], box[2] - box[0], config.resolution)
    return Region(box, size, PackedArray.pack(weight.astype(np.float32)), PackedArray.pack(mask))


def feathered(mask: np.ndarray, dilate: int, feather: int) -> np.ndarray:
    """Weight ``(H, W)`` float32: 1 up to ``dilate`` pixels from ``mask``, falling to 0 over ``feather`` more.

    ``mask`` bool ``(H, W)`` has at least one point. SciPy's Euclidean distance is exact and the same in every run;
    OpenCV's may round differently from run to run, which a restarted run must not.
    """
    distance = distance_transform_edt(~mask)
    if feather == 0:
        return (distance <= dilate).astype(np.float32)
    return np.clip(1 - (distance - dilate) / feather, 0, 1).astype(np.float32)


def working_size(height: int, width: int, resolution: int) -> tuple[int, int]:
    """Size at which a box is edited: its shape, an area of ``resolution``², sides in steps of SIZE_MULTIPLE."""
    scale = resolution / (height * width) ** 0.5
    steps = (max(1, round(side * scale / SIZE_MULTIPLE)) for side in (height, width))
    high, wide = (int(n) * SIZE_MULTIPLE for n in steps)
    return high, wide


@dataclass
class Crop:
    """A box and the connected parts of the weight that are edited in it, the largest first."""

    box: Box
    parts: list[int]


def crop_boxes(weight: np.ndarray, config: AugmentConfig) -> list[tuple[Box, np.ndarray]]:
    """Boxes around the connected parts of ``weight`` ``(H, W)``, each with the weight of the parts assigned to it.

    Every part is assigned to one box, so weights never overlap and crops can be pasted back in any order. With
    ``crop='auto'`` large parts are edited in the whole image and overlapping crops are merged; with ``crop='defect'``
    only a part too long for a square gets the whole image.
    """
    count, parts, stats, _ = cv2.connectedComponentsWithStats((weight > 0).astype(np.uint8), connectivity=8)
    order = sorted(range(1, count), key=lambda i: (-int(stats[i, cv2.CC_STAT_AREA]), i))
    bounds = {i: extent(stats[i]) for i in order}
    if config.crop == 'auto':
        crops = automatic_crops(bounds, weight.shape, config)
    else:
        crops = squares_around_parts(bounds, weight.shape, config)
    return [(crop.box, np.where(np.isin(parts, crop.parts), weight, 0)) for crop in crops]


def automatic_crops(bounds: dict[int, Box], shape: tuple[int, ...], config: AugmentConfig) -> list[Crop]:
    """The whole image for parts whose crop gains little, and merged squares for the others.

    ``bounds`` are the boxes of the parts in an image of ``shape = (H, W)``, the largest part first.
    """
    height, width = shape
    large = [i for i, box in bounds.items() if not gains(square_around(box, height, width, config), shape)]
    small = {i: box for i, box in bounds.items() if i not in set(large)}
    whole = [Crop((0, 0, width, height), large)] if large else []
    return whole + merged(squares_around_parts(small, shape, config), bounds, shape, config)


def squares_around_parts(bounds: dict[int, Box], shape: tuple[int, ...], config: AugmentConfig) -> list[Crop]:
    """From the largest part down, a part that no box contains opens a new one, which takes every part inside it."""
    height, width = shape
    unassigned = dict(bounds)
    crops = []
    for part, part_box in bounds.items():
        if part not in unassigned:
            continue
        box = square_around(part_box, height, width, config)
        crops.append(Crop(box, [i for i, inner in unassigned.items() if inside(inner, box)]))
        for i in crops[-1].parts:
            del unassigned[i]
    return crops


def merged(
    crops: list[Crop], bounds: dict[int, Box], shape: tuple[int, ...], config: AugmentConfig
) -> list[Crop]:
    """Overlapping crops merged into the square around their parts, unless that gains too little in scale."""
    crops, first = list(crops), 0
    while first < len(crops):
        for second in range(first + 1, len(crops)):
            joint = joined(crops[first], crops[second], bounds, shape, config)
            if joint is not None:
                crops[first] = joint
                del crops[second]
                first = -1  # the new box may overlap an earlier one
                break
        first += 1
    return crops


def joined(
    first: Crop, second: Crop, bounds: dict[int, Box], shape: tuple[int, ...], config: AugmentConfig
) -> Crop | None:
    """One crop for the parts of both, or None where they do not overlap or one crop would gain too little."""
    left, top = max(first.box[0], second.box[0]), max(first.box[1], second.box[1])
    right, bottom = min(first.box[2], second.box[2]), min(first.box[3], second.box[3])
    if left >= right or top >= bottom:
        return None
    parts = first.parts + second.parts
    corners = np.array([bounds[i] for i in parts])
    around = (*corners[:, :2].min(axis=0).tolist(), *corners[:, 2:].max(axis=0).tolist())
    box = square_around(around, *shape, config)
    return Crop(box, parts) if gains(box, shape) else None


def gains(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a crop is enlarged at least MIN_ENLARGEMENT times more than the whole image would be."""
    return MIN_ENLARGEMENT * max(box[2] - box[0], box[3] - box[1]) <= min(shape)


def extent(stats: np.ndarray) -> Box:
    """Bounding box of one connected part, from OpenCV's statistics of it."""
    x, y, w, h = (int(v) for v in stats[: cv2.CC_STAT_HEIGHT + 1])
    return x, y, x + w, y + h


def square_around(bounds: Box, height: int, width: int, config: AugmentConfig) -> Box:
    """The square crop around ``bounds`` with its surroundings, moved into the image; else the whole image."""
    x0, y0, x1, y1 = bounds
    longest = max(x1 - x0, y1 - y0)
    side = max(config.crop_min, round(longest * (1 + config.crop_context)))
    side = min(side, max(longest, min(height, width)))
    if side > min(height, width):
        return 0, 0, width, height
    left = min(max((x0 + x1 - side) // 2, 0), width - side)
    top = min(max((y0 + y1 - side) // 2, 0), height - side)
    return left, top, left + side, top + side


def inside(inner: Box, outer: Box) -> bool:
    """Whether ``outer`` contains all of ``inner``."""
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def border_ramp(box: Box, shape: tuple[int, ...], feather: int) -> np.ndarray:
    """Weight 1 over the box, fading over ``feather`` pixels to the sides that are not the image's own."""
    left, top, right, bottom = box
    weight = np.ones((bottom - top, right - left), np.float32)
    if feather:
        down = np.arange(1, bottom - top + 1, dtype=np.float32)[:, None] / (feather + 1)
        across = np.arange(1, right - left + 1, dtype=np.float32)[None] / (feather + 1)
        sides = (
            (top > 0, down),
            (bottom < shape[0], down[::-1]),
            (left > 0, across),
            (right < shape[1], across[:, ::-1]),
        )
        for inner, ramp in sides:
            if inner:
                weight = np.minimum(weight, ramp)
    return weight


def cut(array: np.ndarray, box: Box) -> np.ndarray:
    """The part of ``array`` ``(H, W, ...)`` inside ``box``."""
    left, top, right, bottom = box
    return array[top:bottom, left:right]


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``(h, w, 3)`` uint8 at ``size = (H, W)``, Lanczos-filtered; the same array when it has that size."""
    if pixels.shape[:2] == tuple(size):
        return pixels
    return np.array(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.LANCZOS))


def to_working(image: np.ndarray, region: Region) -> np.ndarray:
    """The region of ``image`` ``(H, W, 3)`` at its working size."""
    return resize(np.ascontiguousarray(cut(image, region.box)), region.size)


def working_mask(region: Region) -> np.ndarray:
    """The region's mask at its working size: bool, never empty for a mask that is not."""
    mask = torch.from_numpy(region.mask).float()[None, None]
    return torch.nn.functional.adaptive_max_pool2d(mask, region.size)[0, 0].numpy() > 0


def latent_mask(region: Region, cell: int) -> Tensor:
    """The region's weight over latent cells of ``cell`` pixels, ``(1, h, w)`` in [0, 1]: each cell's largest."""
    weight = torch.from_numpy(region.weight)[None]
    return torch.nn.functional.adaptive_max_pool2d(weight, (region.size[0] // cell, region.size[1] // cell))


def paste(image: np.ndarray, edited: np.ndarray, region: Region) -> np.ndarray:
    """``image`` ``(H, W, 3)`` with ``edited``, of working size, composited in; weight 0 keeps pixels to the bit."""
    result = image.copy()
    target = cut(result, region.box)
    weight = region.weight
    edited = resize(edited, weight.shape)
    weight = weight[..., None]
    mixed = np.rint(weight * edited + (1 - weight) * target).clip(0, 255).astype(np.uint8)
    target[...] = np.where(weight > 0, mixed, target)
    return result


def support(regions: list[Region], shape: tuple[int, int]) -> np.ndarray:
    """Where a paste of ``regions`` may change an image of ``shape = (H, W)``: bool ``(H, W)``."""
    touched = np.zeros(shape, bool)
    for region in regions:
        cut(touched, region.box)[...] |= region.weight > 0
    return touched
