"""Test images with their labels and predictions painted onto them.

Every class has its colour of the dataset's palette. Regions are ringed at a distance, so that a defect of five
pixels is seen at a glance.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmseg.datasets.image_files import match_images
from wtaseg.io import write
from wtaseg.palette import Color, class_colors
from wtaseg.runs.describe import leaf_datasets
from wtaseg.runs.layout import base_folder
from wtaseg.runs.records import RunRecord

RING_DISTANCE = 5
RING_WIDTH = 2
"""In pixels."""
IGNORED = 255
PANEL_SIZE = 4.2
"""Width of an image in a figure, in inches."""


@dataclass(frozen=True)
class PredictedImage:
    """Files of one test image."""

    name: str
    image: Path
    labels: Path
    prediction: Path


def predicted_images(run: RunRecord, base: Path | None = None) -> dict[str, PredictedImage]:
    """Every test image that a run has predicted, by name.

    The folders are those of the last test's config, which is read and not executed.

    Args:
        run: a tested run.
        base: what a relative ``data_root`` counts from; default: the clone, or else the current folder.

    Raises:
        ValueError: the run's config names no test set, or there is no prediction of it.
    """
    dataset = next(leaf_datasets((run.test_config.get('test_dataloader') or {}).get('dataset')), {})
    prefix = dataset.get('data_prefix') or {}
    if not {'img_path', 'seg_map_path'} <= prefix.keys():
        raise ValueError(
            f'{run.name}: its config has no test_dataloader.dataset.data_prefix to take images from'
        )
    root = (base or base_folder()) / (dataset.get('data_root') or '')
    images, labels = root / prefix['img_path'], root / prefix['seg_map_path']
    label_suffix = dataset.get('seg_map_suffix', '.png')
    names = (path.name for path in images.glob('*'))
    by_stem = match_images(names, dataset.get('img_suffix'))
    result = {}
    for file in sorted((run.path / 'test/pred').glob('*.png')):
        if file.stem in by_stem:
            result[file.stem] = PredictedImage(
                file.stem, images / by_stem[file.stem], labels / f'{file.stem}{label_suffix}', prediction=file
            )
    if not result:
        raise ValueError(
            f'{run.name}: no prediction in {run.path}/test/pred has its image in {images}; '
            'run the batch job to its end'
        )
    return result


def paint(image: np.ndarray, labels: np.ndarray, colors: Sequence[Color] = ()) -> np.ndarray:
    """Colour the foreground classes of an image and draw a ring around each of their regions.

    Args:
        image: ``(H, W, 3)`` RGB, uint8.
        labels: ``(H, W)`` class ids; pixels of class 0 and the ignored 255 stay as they are.
        colors: RGB by class id; default: the palette of the blade dataset.

    Raises:
        ValueError: the two differ in size.
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(f'image of {image.shape[:2]} and labels of {labels.shape} differ in size')
    masks = {
        int(label): (labels == label).astype(np.uint8)
        for label in np.unique(labels)
        if label not in (0, IGNORED)
    }
    colors = class_colors(max(masks, default=0) + 1, colors)
    painted = image.copy()
    for label, mask in masks.items():
        ring = _grow(mask, RING_DISTANCE + RING_WIDTH) & ~_grow(mask, RING_DISTANCE)
        painted[ring] = colors[label]
    # after all rings, so that no ring of one class hides the pixels of another
    for label, mask in masks.items():
        painted[mask > 0] = colors[label]
    return painted


def _grow(mask: np.ndarray, distance: int) -> np.ndarray:
    """All within ``distance`` pixels of the mask, holes filled: a ring inside a ring would look like a defect."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * distance + 1,) * 2)
    contours, _ = cv2.findContours(cv2.dilate(mask, kernel), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(mask), contours, -1, 1, cv2.FILLED) > 0


def read_rgb(path: Path) -> np.ndarray:
    """An image as ``(H, W, 3)`` RGB, uint8.

    Raises:
        FileNotFoundError, ValueError: it is missing, or no image.
    """
    return cv2.cvtColor(_read(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def read_labels(path: Path) -> np.ndarray:
    """Index labels as ``(H, W)``, uint8; raises as :func:`read_rgb`."""
    return _read(path, cv2.IMREAD_GRAYSCALE)


def _read(path: Path, mode: int) -> np.ndarray:
    # cv2.imread returns None for a missing file, and on some systems for a name that is not ASCII
    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, mode) if data.size else None
    if image is None:
        raise ValueError(f'{path}: not a readable image')
    return image


def choose_images(labels: Mapping[str, np.ndarray], count: int) -> list[str]:
    """Names of ``count`` images, in turn for each class and spread over the sizes of its regions.

    Args:
        labels: class ids ``(H, W)`` of each image, by name.
        count: how many to choose.
    """
    classes = sorted(
        {int(v) for array in labels.values() for v in np.unique(array)} - {0, IGNORED}, reverse=True
    )
    chosen: list[str] = []
    for index, label in enumerate(classes):
        sizes = {name: int((array == label).sum()) for name, array in labels.items() if name not in chosen}
        candidates = sorted((name for name in sizes if sizes[name]), key=lambda name: (sizes[name], name))
        share = min(math.ceil((count - len(chosen)) / (len(classes) - index)), len(candidates))
        chosen += [candidates[round(place)] for place in np.linspace(0, len(candidates) - 1, share)]
    others = [name for name in labels if name not in chosen]
    return (chosen + others)[:count]


def draw_overlay(
    image: PredictedImage,
    predictions: Mapping[str, Path],
    classes: Sequence[str],
    colors: Sequence[Color] = (),
) -> Figure:
    """An image, its ground truth and the prediction of each run side by side, with the classes' colours below.

    Args:
        image: the test image with its labels.
        predictions: index labels that each run predicted, by the run's label.
        classes: names of all classes, in the order of their ids.
        colors: RGB by class id; default: the palette of the blade dataset.
    """
    pixels = read_rgb(image.image)
    panels = {'Image': pixels, 'Ground truth': paint(pixels, read_labels(image.labels), colors)}
    panels |= {label: paint(pixels, read_labels(path), colors) for label, path in predictions.items()}
    height, width = pixels.shape[:2]
    size = (PANEL_SIZE * len(panels), PANEL_SIZE * height / width + 0.9)
    figure = Figure(figsize=size, layout='constrained')
    for axes, (title, panel) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items()):
        axes.imshow(panel, interpolation='nearest')
        axes.set_title(title, fontsize=11)
        axes.set_axis_off()
    by_id = class_colors(len(classes), colors)
    handles = [
        Patch(color=np.array(color) / 255, label=name) for name, color in list(zip(classes, by_id))[1:]
    ]
    figure.legend(handles=handles, loc='outside lower center', ncols=max(1, len(handles)), frameon=False)
    figure.suptitle(image.name, fontsize=10)
    return figure


def write_pairs(run: RunRecord, base: Path | None = None) -> int:
    """Write ``test/<name>.png`` for every test image: ground truth on the left, prediction on the right.

    Args:
        run: a tested run.
        base: as for :func:`predicted_images`.

    Returns:
        How many were written.

    Raises:
        FileNotFoundError, ValueError: as :func:`predicted_images`, or a file is missing or can't be read.
    """
    images = predicted_images(run, base)
    for image in images.values():
        pixels = read_rgb(image.image)
        files = (image.labels, image.prediction)
        pair = np.hstack([paint(pixels, read_labels(file), run.spec.palette) for file in files])
        png = cv2.imencode('.png', cv2.cvtColor(pair, cv2.COLOR_RGB2BGR))[1]
        write(run.path / 'test' / f'{image.name}.png', png.tobytes())
    return len(images)
