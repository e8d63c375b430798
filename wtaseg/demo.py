"""From nothing to results: render a dataset, check it, train and test two experiments, tabulate and draw.

Every stage skips what is done: run again, the demo continues where it stopped.
"""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wtaseg.blades.render import render
from wtaseg.labels.check import check, describe
from wtaseg.report.command import PARTS, ProjectReport
from wtaseg.report.overlays import write_pairs
from wtaseg.runs.execute import run_experiment
from wtaseg.runs.job import Job, named_experiments
from wtaseg.runs.layout import ProjectLayout, base_folder, config_root
from wtaseg.runs.pool import print_summary, run_pool, usable_gpus

EXPERIMENTS = ('fastscnn/fast_scnn_1xb8-1k_wta_demo-96x96', 'fastscnn/fast_scnn_1xb8-1k_wta_demo-ce-96x96')
SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Scale:
    """How much the demo computes.

    Attributes:
        data: folder of the dataset, below the base folder of the project.
        counts: images per split.
        size: side of the images in pixels.
        train_flags: flags of the training.
        overlays: test images to draw.
    """

    data: str
    counts: dict[str, int]
    size: int
    train_flags: tuple[str, ...]
    overlays: int


#: Minutes on two cores.
FULL = Scale('data/wta_demo', {'train': 160, 'val': 16, 'test': 40}, 512, (), 6)
#: Less than a minute; the results mean nothing.
SMOKE = Scale('data/wta_demo_smoke', {'train': 8, 'val': 4, 'test': 4}, 128, ('--smoke',), 2)


def run_demo(project: str = 'demo', smoke: bool = False) -> int:
    """Run the demo; returns the exit status: 1 where the data or an experiment failed, 130 when interrupted.

    Args:
        project: results go to ``work_dirs/<project>``.
        smoke: a trial with a few images and iterations.
    """
    # small images: one thread is faster than two that wait for each other
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    scale = SMOKE if smoke else FULL
    data = base_folder() / scale.data
    print(render(data, scale.counts, scale.size, workers=os.cpu_count() or 1), flush=True)
    report = check(data)
    print(describe(report), flush=True)
    if not report.ok:
        return 1
    layout = ProjectLayout.named(project)
    status = train_and_test(layout, scale)
    return status or write_results(layout.path, scale.overlays)


def train_and_test(layout: ProjectLayout, scale: Scale) -> int:
    """Train and test both experiments; returns the exit status."""
    job = Job(
        layout,
        config_root(),
        gpus=usable_gpus(1),
        overrides=tuple(f'{split}_dataloader.dataset.data_root={scale.data}' for split in SPLITS),
        train_flags=scale.train_flags,
        draw=write_pairs,
    )
    result = run_pool(named_experiments(EXPERIMENTS), partial(run_experiment, job), layout)
    print_summary(result, layout)
    return result.exit_status


def write_results(project: Path, overlays: int) -> int:
    """Write table, curves, overlays and page of a project into it, print the table; returns the exit status."""
    return 0 if ProjectReport.read(project).write(PARTS, project, count=overlays) else 1
