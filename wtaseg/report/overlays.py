"""Test images with their labels and predictions painted onto them."""

import math
from pathlib import Path

import cv2
import numpy as np

from wtaseg.io import write
from wtaseg.runs.layout import ROOT
from wtaseg.runs.records import RunResult

# One colour a defect class, those of the bar chart: told apart with every common colour blindness, and neither
# the gold nor the silver of the defects themselves
COLORS = ((86, 180, 233), (213, 94, 0), (0, 158, 115), (204, 121, 167))
RING_DISTANCE = 5
RING_WIDTH = 2
IGNORED = 255


def paint(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Colour the defects of an image and draw a ring around each of their regions.

    Args:
        image: ``(H, W, 3)`` RGB, uint8.
        labels: ``(H, W)`` class ids; 0 and the ignored 255 stay as they are.

    Raises:
        ValueError: the two differ in size.
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(f'image of {image.shape[:2]} and labels of {labels.shape} differ in size')
    painted = image.copy()
    masks = {
        int(label): (labels == label).astype(np.uint8)
        for label in np.unique(labels)
        if label not in (0, IGNORED)
    }
    for label, mask in masks.items():
        painted[_grown(mask, RING_DISTANCE + RING_WIDTH) & ~_grown(mask, RING_DISTANCE)] = color_of(label)
    # after all rings: no ring of one class hides the pixels of another
    for label, mask in masks.items():
        painted[mask > 0] = color_of(label)
    return painted


def _grown(mask: np.ndarray, distance: int) -> np.ndarray:
    """All within ``distance`` pixels of the mask, holes filled: a ring inside a ring would look like a defect."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * distance + 1,) * 2)
    contours, _ = cv2.findContours(cv2.dilate(mask, kernel), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(mask), contours, -1, 1, cv2.FILLED) > 0


def color_of(label: int) -> tuple[int, int, int]:
    """RGB of a defect class, by its id from 1 on."""
    return COLORS[(label - 1) % len(COLORS)]


def test_files(run: RunResult, base: Path = ROOT) -> dict[str, tuple[Path, Path, Path]]:
    """Image, ground truth and prediction of every test image that the run has predicted, by name.

    ``base`` is what a relative ``data_root`` counts from: the folder in which the batch job runs its tools.

    Raises:
        ValueError: the run's settings name no test set, or there is none of its predictions.
    """
    dataset = ((run.test_config or {}).get('test_dataloader') or {}).get('dataset') or {}
    prefix = dataset.get('data_prefix') or {}
    if not {'img_path', 'seg_map_path'} <= prefix.keys():
        raise ValueError(
            f'{run.name}: its config has no test_dataloader.dataset.data_prefix to take images from'
        )
    root = base / (dataset.get('data_root') or '')
    images, labels = root / prefix['img_path'], root / prefix['seg_map_path']
    img_suffix, label_suffix = dataset.get('img_suffix', '.png'), dataset.get('seg_map_suffix', '.png')
    found = {}
    for prediction in sorted((run.path / 'test' / 'pred').glob('*.png')):
        image = images / f'{prediction.stem}{img_suffix}'
        if image.is_file():
            found[prediction.stem] = (image, labels / f'{prediction.stem}{label_suffix}', prediction)
    if not found:
        raise ValueError(
            f'{run.name}: no prediction in {run.path}/test/pred has its image in {images}; '
            'run the batch job to its end'
        )
    return found


def read_rgb(path: Path) -> np.ndarray:
    """An image as ``(H, W, 3)`` RGB, uint8."""
    return cv2.cvtColor(_read(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def read_labels(path: Path) -> np.ndarray:
    """Index labels as ``(H, W)``, uint8."""
    return _read(path, cv2.IMREAD_GRAYSCALE)


def _read(path: Path, mode: int) -> np.ndarray:
    # imread itself reports a missing file by None, and not at all under names that are not ASCII on some systems
    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, mode)
    if image is None:
        raise ValueError(f'{path}: not a readable image')
    return image


def choose_images(labels: dict[str, np.ndarray], count: int) -> list[str]:
    """Names of ``count`` images, in turn for each class and spread over the sizes of its defects."""
    classes = sorted(
        {int(v) for array in labels.values() for v in np.unique(array)} - {0, IGNORED}, reverse=True
    )
    chosen: list[str] = []
    for index, label in enumerate(classes):
        sizes = {name: int((array == label).sum()) for name, array in labels.items() if name not in chosen}
        holders = sorted((name for name in sizes if sizes[name]), key=lambda name: (sizes[name], name))
        share = min(math.ceil((count - len(chosen)) / (len(classes) - index)), len(holders))
        chosen += [holders[round(place)] for place in np.linspace(0, len(holders) - 1, share)]
    others = [name for name in labels if name not in chosen]
    return (chosen + others)[:count]


def write_pairs(run: RunResult, base: Path = ROOT) -> int:
    """Write ``test/<image>.png`` for every test image: ground truth on the left, prediction on the right.

    Returns:
        How many were written.

    Raises:
        ValueError: as :func:`test_files`, or a file cannot be read.
    """
    files = test_files(run, base)
    for name, (image_file, label_file, prediction_file) in files.items():
        image = read_rgb(image_file)
        pair = np.hstack([paint(image, read_labels(file)) for file in (label_file, prediction_file)])
        png = cv2.imencode('.png', cv2.cvtColor(pair, cv2.COLOR_RGB2BGR))[1]
        write(run.path / 'test' / f'{name}.png', png.tobytes())
    return len(files)
