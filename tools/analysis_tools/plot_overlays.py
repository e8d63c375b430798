"""Test images of a project side by side: image, ground truth, and the prediction of each run.

    python tools/analysis_tools/plot_overlays.py work_dirs/<project> [--runs DIR/MODEL …] [--count 6]

Defects are coloured, and ringed at a distance, so that one of five pixels is found at a glance. Without
``--images`` the pictures are spread over small and large defects of every class.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch
from project_results import RunResult, choose_runs, read_project, run_labels

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
    inner, outer = (
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        for radius in (RING_DISTANCE, RING_DISTANCE + RING_WIDTH)
    )
    masks = {
        int(label): (labels == label).astype(np.uint8)
        for label in np.unique(labels)
        if label not in (0, IGNORED)
    }
    for label, mask in masks.items():
        ring = (cv2.dilate(mask, outer) > 0) & (cv2.dilate(mask, inner) == 0)
        painted[ring] = color_of(label)
    # after all rings: no ring of one class hides the pixels of another
    for label, mask in masks.items():
        painted[mask > 0] = color_of(label)
    return painted


def color_of(label: int) -> tuple[int, int, int]:
    """RGB of a defect class, by its id from 1 on."""
    return COLORS[(label - 1) % len(COLORS)]


def test_files(run: RunResult) -> dict[str, tuple[Path, Path, Path]]:
    """Image, ground truth and prediction of every test image that the run has predicted, by name.

    Raises:
        ValueError: the run's settings name no test set, or there is none of its predictions.
    """
    dataset = ((run.config or {}).get('test_dataloader') or {}).get('dataset') or {}
    prefix = dataset.get('data_prefix') or {}
    if not {'img_path', 'seg_map_path'} <= prefix.keys():
        raise ValueError(
            f'{run.name}: its config has no test_dataloader.dataset.data_prefix to take images from'
        )
    images, labels = (
        Path(dataset.get('data_root') or '') / prefix[key] for key in ('img_path', 'seg_map_path')
    )
    img_suffix, label_suffix = dataset.get('img_suffix', '.png'), dataset.get('seg_map_suffix', '.png')
    found = {}
    for prediction in sorted((run.path / 'test' / 'pred').glob('*.png')):
        image = images / f'{prediction.stem}{img_suffix}'
        if image.is_file():
            found[prediction.stem] = (image, labels / f'{prediction.stem}{label_suffix}', prediction)
    if not found:
        raise ValueError(
            f'{run.name}: no prediction in {run.path}/test/pred has its image in {images}; '
            'run the batch job to its end, from the folder that data_root counts from'
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


def plot_overlay(
    panels: Sequence[tuple[str, np.ndarray]], legend: Sequence[tuple[str, tuple]], path: Path, title: str
) -> None:
    """Pictures in a row, each under its title, with the colours of the classes below."""
    height, width = panels[0][1].shape[:2]
    size = 4.2
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(size * len(panels), size * height / width + 0.9),
        layout='constrained',
        squeeze=False,
    )
    for place, (name, picture) in zip(axes[0], panels):
        place.imshow(picture, interpolation='nearest')
        place.set_title(name, fontsize=11)
        place.set_axis_off()
    handles = [Patch(color=np.array(color) / 255, label=name) for name, color in legend]
    figure.legend(handles=handles, loc='outside lower center', ncols=len(handles), frameon=False)
    figure.suptitle(title, fontsize=10)
    part = path.with_name(path.name + '.part')
    figure.savefig(part, dpi=130, format='png')
    part.replace(path)
    plt.close(figure)


def plot_project(
    runs: Sequence[RunResult],
    labels: Sequence[str],
    out: Path,
    count: int = 6,
    names: Sequence[str] | None = None,
) -> list[Path]:
    """Write ``<image>.png`` for the chosen test images, with a panel for each run.

    Raises:
        ValueError: the runs have no test image in common, or not the one asked for.
    """
    files = [test_files(run) for run in runs]
    common = [name for name in files[0] if all(name in other for other in files)]
    if not common:
        raise ValueError('the runs have predicted no image in common; choose some with --runs')
    if missing := [name for name in names or () if name not in common]:
        raise ValueError(
            f'--images: {missing[0]!r} is not among the predicted test images, e.g. {common[0]!r}'
        )
    chosen = names or choose_images({name: read_labels(files[0][name][1]) for name in common}, count)
    classes = list(runs[0].defects) or ['defect']
    legend = [(name, color_of(index)) for index, name in enumerate(classes, start=1)]
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name in chosen:
        image_file, label_file, _ = files[0][name]
        image = read_rgb(image_file)
        panels = [('Image', image), ('Ground truth', paint(image, read_labels(label_file)))]
        panels += [(label, paint(image, read_labels(other[name][2]))) for label, other in zip(labels, files)]
        path = out / f'{name}.png'
        plot_overlay(panels, legend, path, name)
        written.append(path)
    return written


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('project', type=Path, help='work_dirs/<project>')
    parser.add_argument('--runs', nargs='+', metavar='DIR/MODEL', help='only these, in this order')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--images', nargs='+', metavar='NAME', help='names of test images, without suffix')
    which.add_argument(
        '--count', type=int, default=6, help='how many images to choose (default: %(default)s)'
    )
    parser.add_argument('--out', type=Path, help='folder for the pictures (default: PROJECT/overlays)')
    args = parser.parse_args()
    try:
        if args.count < 1:
            raise ValueError(f'--count: {args.count}; expected at least 1')
        runs = choose_runs(read_project(args.project), args.runs)
        runs = runs if args.runs else [run for run in runs if run.finished]
        if not runs:
            raise ValueError(f'{args.project}: no run has been tested yet')
        out = args.out or args.project / 'overlays'
        for path in plot_project(runs, run_labels(runs), out, args.count, args.images):
            print(path)
    except (OSError, ValueError) as error:
        print(f'plot_overlays: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
