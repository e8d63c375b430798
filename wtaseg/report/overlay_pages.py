"""Test images of a project side by side: image, ground truth, and the prediction of each run.

    python tools/analysis_tools/plot_overlays.py work_dirs/<project> [--runs DIR/MODEL …] [--count 6]

Defects are coloured, and ringed at a distance, so that one of five pixels is found at a glance. Without
``--images`` the pictures are spread over small and large defects of every class.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from wtaseg.io import draft
from wtaseg.report.overlays import choose_images, color_of, paint, read_labels, read_rgb, test_files
from wtaseg.runs.records import RunResult, choose_runs, read_project, run_labels


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
    with draft(path) as part:
        figure.savefig(part, dpi=130, format='png')
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
