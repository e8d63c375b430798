"""Test images with their labels and predictions marked, see :mod:`mmseg.visualization.overlay` for the style."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmseg.datasets.image_files import match_images
from mmseg.visualization.display import decode_for_display
from mmseg.visualization.overlay import Legend, Panel, compose
from wtaseg.io import write
from wtaseg.palette import Color, class_colors
from wtaseg.runs.describe import leaf_datasets
from wtaseg.runs.records import RunRecord

IGNORED = 255


@dataclass(frozen=True)
class PredictedImage:
    """Files of one test image."""

    name: str
    image: Path
    labels: Path
    prediction: Path


def predicted_images(run: RunRecord) -> dict[str, PredictedImage]:
    """Every test image that a run has predicted, by name.

    The folders are those of the last test's config, which is read and not executed.

    Args:
        run: a tested run.

    Raises:
        ValueError: the run's config names no test set, or there is no prediction of it.
    """
    dataset = next(leaf_datasets((run.test_config.get('test_dataloader') or {}).get('dataset')), {})
    prefix = dataset.get('data_prefix') or {}
    if not {'img_path', 'seg_map_path'} <= prefix.keys():
        raise ValueError(
            f'{run.name}: its config has no test_dataloader.dataset.data_prefix to take images from'
        )
    root = run.base / (dataset.get('data_root') or '')
    images, labels = root / prefix['img_path'], root / prefix['seg_map_path']
    label_suffix = dataset.get('seg_map_suffix', '.png')
    by_stem = _images_by_name(images, dataset, root)
    result = {}
    folder = prediction_folder(run)
    for file in sorted(folder.glob('*.png')):
        if file.stem in by_stem:
            image, stem = by_stem[file.stem]
            result[file.stem] = PredictedImage(
                file.stem, image, labels / f'{stem}{label_suffix}', prediction=file
            )
    if not result:
        raise ValueError(
            f'{run.name}: no prediction in {folder} has its image, the only one of its name, in {images}; run the batch job to its end, or '
            'tools/test.py with --out'
        )
    return result


def _images_by_name(images: Path, dataset: Mapping, root: Path) -> dict[str, tuple[Path, str]]:
    """Image and path without ending below ``images``, by the name of its prediction; names that two share are left out."""
    list_file = root / dataset['ann_file'] if dataset.get('ann_file') else None
    listed = set(list_file.read_text(encoding='utf-8').split('\n')) if list_file else None
    names = (path.relative_to(images).as_posix() for path in images.glob('**/*' if listed else '*'))
    stems = match_images(names, dataset.get('img_suffix'))
    by_name: dict[str, list[str]] = {}
    for stem in stems:
        if listed is None or stem in listed:
            by_name.setdefault(Path(stem).name, []).append(stem)
    return {name: (images / stems[same[0]], same[0]) for name, same in by_name.items() if len(same) == 1}


def read_rgb(path: Path) -> np.ndarray:
    """An image as ``(H, W, 3)`` RGB, uint8, by the rules of :mod:`mmseg.datasets.image_files`.

    Raises:
        FileNotFoundError, ValueError: it is missing, or no image.
    """
    return decode_for_display(path.read_bytes(), str(path))


def read_labels(path: Path) -> np.ndarray:
    """Index labels as ``(H, W)``, uint8; raises as :func:`read_rgb`."""
    # cv2.imread returns None for a missing file, and on some systems for a name that is not ASCII
    data = np.frombuffer(path.read_bytes(), np.uint8)
    labels = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if labels is None:
        raise ValueError(f'{path}: not a readable image')
    return labels


def prediction_folder(run: RunRecord) -> Path:
    """Where a run's predictions are: ``test/pred`` of a batch job, else the ``--out`` of its last test."""
    folder = run.path / 'test/pred'
    if folder.is_dir():
        return folder
    evaluator = run.test_config.get('test_evaluator') or {}
    for item in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        if item.get('output_dir'):
            return run.base / item['output_dir']
    return folder


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
    plain: bool = True,
) -> np.ndarray:
    """An image, its ground truth and the prediction of each run side by side, in the style of all overlays.

    Args:
        image: the test image with its labels.
        predictions: index labels that each run predicted, by the run's label.
        classes: names of all classes, in the order of their ids.
        colors: RGB by class id; default: the palette of the blade dataset.
        plain: begin with the image alone.

    Returns:
        ``(H, W, 3)`` uint8, RGB.
    """
    pixels = read_rgb(image.image)
    panels = [Panel('Image', pixels)] if plain else []
    panels.append(Panel('Ground truth', pixels, read_labels(image.labels)))
    panels += [Panel(label, pixels, read_labels(path)) for label, path in predictions.items()]
    classes = classes or tuple(
        f'class {index}' for index in range(1 + max(int(p.labels.max()) for p in panels[1:]))
    )
    return compose(panels, Legend.of(classes, class_colors(len(classes), colors)), image.name)


def png(image: np.ndarray) -> bytes:
    """An RGB image as a PNG file."""
    return cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def write_pairs(run: RunRecord) -> int:
    """Write ``test/<name>.png`` for every test image: ground truth on the left, prediction on the right.

    Args:
        run: a tested run.

    Returns:
        How many were written.

    Raises:
        FileNotFoundError, ValueError: as :func:`predicted_images`, or a file is missing or can't be read.
    """
    images = predicted_images(run)
    for image in images.values():
        predictions = {'Prediction': image.prediction}
        pair = draw_overlay(image, predictions, run.spec.classes, run.spec.palette, plain=False)
        write(run.path / 'test' / f'{image.name}.png', png(pair))
    return len(images)
