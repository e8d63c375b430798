"""From nothing to results: render, check, edit some images and relabel them, train and test, tabulate and draw.

Two losses on the rendered images, and the first of them on the rendered and the edited images. Every stage skips what
is done: run again, the demo continues where it stopped.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from augment import shipped
from wtaseg.blades.render import render
from wtaseg.labels.check import check, describe
from wtaseg.report.command import PARTS, ProjectReport
from wtaseg.report.overlays import write_pairs
from wtaseg.report.page import Image
from wtaseg.runs.execute import run_experiment
from wtaseg.runs.job import Experiment, Job, named_experiments
from wtaseg.runs.layout import ProjectLayout, config_root
from wtaseg.runs.pool import print_summary, run_pool, usable_gpus

EXPERIMENTS = ('fastscnn/fast_scnn_1xb8-1k_wta_demo-96x96', 'fastscnn/fast_scnn_1xb8-1k_wta_demo-ce-96x96')
SPLITS = ('train', 'val', 'test')
WORDS = ('peeling', 'rust')
SIDE_BY_SIDE = 2  # trainings; each uses one core
SHEET_ROWS = 8  # edits on the page


@dataclass(frozen=True)
class Scale:
    """How much the demo computes.

    Attributes:
        data: folder of the dataset, from the current folder.
        counts: images per split.
        size: side of the images in pixels.
        train_flags: flags of the training.
        overlays: test images to draw.
        edited: images to edit with each of WORDS.
        crops: defects to edit in each, at most, the largest first.
        steps: DDIM steps of the edits.
    """

    data: str
    counts: dict[str, int]
    size: int
    train_flags: tuple[str, ...]
    overlays: int
    edited: int
    crops: int
    steps: int


#: Minutes on two cores.
FULL = Scale('data/wta_demo', {'train': 160, 'val': 16, 'test': 40}, 512, (), 6, edited=12, crops=3, steps=10)
#: Less than a minute; the results mean nothing.
SMOKE = Scale(
    'data/wta_demo_smoke', {'train': 8, 'val': 4, 'test': 4}, 128, ('--smoke',), 2, edited=1, crops=1, steps=4
)


def run_demo(project: str = 'demo', smoke: bool = False) -> int:
    """Run the demo in the current folder.

    Returns:
        The exit status: 1 where the data or an experiment failed, 130 when interrupted.

    Args:
        project: results go to ``work_dirs/<project>``.
        smoke: a trial with a few images and iterations.
    """
    # A training is small: one thread is faster than two that wait for each other. Edits get all cores.
    threads = int(os.environ.get('OMP_NUM_THREADS', os.cpu_count() or 1))
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    scale = SMOKE if smoke else FULL
    data = Path.cwd() / scale.data
    print(render(data, scale.counts, scale.size, workers=os.cpu_count() or 1), flush=True)
    report = check(data)
    print(describe(report), flush=True)
    if not report.ok:
        return 1
    experiments, sheet = named_experiments(EXPERIMENTS), None
    if edited := edit_images(data, scale, threads):
        sheet = propose_labels(edited)
        override = f'train_dataloader.dataset.data_root={edited}'
        experiments.append(Experiment(EXPERIMENTS[0], f'{EXPERIMENTS[0]}-edited', (override,)))
    layout = ProjectLayout.named(project)
    status = train_and_test(layout, scale, experiments)
    return status or write_results(layout.path, scale.overlays, sheet)


def edit_images(data: Path, scale: Scale, threads: int) -> Path | None:
    """Write a dataset with edited images beside ``data``, on ``threads`` threads; returns its folder.

    Direct inversion and few steps, so that a CPU needs a minute. None, and a line that says why, where the demo model or
    a package is missing or no edit was accepted.
    """
    try:
        shipped.model_directory()
        import diffusers  # noqa: F401
        import torch
        import transformers  # noqa: F401

        from augment.config import AugmentConfig
        from augment.pipeline import run
        from augment.progress import Bars
    except (FileNotFoundError, ImportError) as error:
        remedy = '; pip install "wta-seg[augment]"' if isinstance(error, ImportError) else ''
        print(f'Without edited images: {error}{remedy}', flush=True)
        return None
    out = data.with_name(f'{data.name}_aug_{"_".join(WORDS)}')
    settings = {
        'data': str(data),
        'out': str(out),
        'model': shipped.DEMO,
        'word': list(WORDS),
        'limit': scale.edited,
        'crop_limit': scale.crops,
        'steps': scale.steps,
        'inversion': 'direct',
        'cache': 'none',
        'summary': True,
    }
    print(
        f'Editing {scale.edited} image{"s" * (scale.edited > 1)} with {" and ".join(WORDS)}: {scale.steps} DDIM steps and direct inversion in place '
        'of 50 and null-text inversion, for speed',
        flush=True,
    )
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        report = run(AugmentConfig(**shipped.with_defaults(settings)), Bars())
    finally:
        torch.set_num_threads(before)
    print(f'{report.text()}\nContact sheet: {out / "summary.png"}', flush=True)
    return out if report.accepted else None


def propose_labels(edited: Path) -> Path:
    """Replace the copied labels of the edits by proposals; returns the contact sheet of both."""
    from wtaseg.relabel.command import relabel
    from wtaseg.relabel.options import ProposalOptions

    summary = relabel(edited, ProposalOptions(), sheet_rows=SHEET_ROWS)
    print(summary, flush=True)
    return summary.sheet


def train_and_test(layout: ProjectLayout, scale: Scale, experiments: Sequence[Experiment]) -> int:
    """Train and test the experiments; returns the exit status."""
    job = Job(
        layout,
        config_root(),
        gpus=usable_gpus(1),
        overrides=tuple(f'{split}_dataloader.dataset.data_root={scale.data}' for split in SPLITS),
        train_flags=scale.train_flags,
        draw=write_pairs,
    )
    jobs = min(SIDE_BY_SIDE, os.cpu_count() or 1)
    if jobs > 1:
        print(
            f'{jobs} trainings side by side; their progress: {layout.summary.parent}/*/*/job.log', flush=True
        )
    result = run_pool(experiments, partial(run_experiment, job), layout, jobs)
    print_summary(result, layout)
    return result.exit_status


def write_results(project: Path, overlays: int, sheet: Path | None) -> int:
    """Write table, curves, overlays and page of a project into it, print the table; returns the exit status.

    Args:
        project: the project's folder.
        overlays: test images to draw.
        sheet: contact sheet of edits and their labels, for the page; None: there are no edits.
    """
    report = ProjectReport.read(project)
    if sheet is not None:
        caption = 'Edits of the demo model: originals, edits, copied and proposed labels'
        report.images.append(Image('proposals.png', sheet.read_bytes(), caption, wide=True))
    return 0 if report.write(PARTS, project, count=overlays) else 1
