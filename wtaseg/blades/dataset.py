"""Write a rendered dataset: its folders, atomic files, several processes."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from mmseg.processes import locked, worker_pool

from ..io import read_json, remove_drafts, write
from .scene import SPLITS, render_blade
from .styles import NONE, StyleMix

#: Increased whenever the same seed gives other pixels, so that a folder never mixes two renderers: the
#: first for unstyled images, the second for styled ones.
RENDERER_VERSION = 1
STYLES_VERSION = 1

MANIFEST = 'render.json'

#: Names the style of every image of a styled dataset: ``{"train/train_00000.png": "rust", ...}``.
STYLES_FILE = 'styles.json'

#: Held while a process renders into the folder.
LOCK = '.render.lock'

MIN_SIZE = 64

#: First and last bytes of a complete PNG; a file without them was truncated.
_PNG_HEAD = b'\x89PNG\r\n\x1a\n'
_PNG_TAIL = b'IEND\xaeB`\x82'


@dataclass(frozen=True)
class Job:
    """One image to render and where its two files go."""

    seed: int
    split: str
    index: int
    size: int
    style: str | None
    image: Path
    label: Path


@dataclass(frozen=True)
class Result:
    """Result of a job: whether the image was drawn or already there, and its pixels per class."""

    drawn: bool
    pixels: tuple[int, int, int]


def plan(out: Path, counts: dict[str, int], size: int, seed: int, styles: StyleMix) -> list[Job]:
    """All images of a dataset, in order.

    Raises:
        ValueError: A count or the size cannot be rendered.
    """
    if size < MIN_SIZE:
        raise ValueError(f'--size {size} is too small to show a part; take at least {MIN_SIZE}.')
    if seed < 0:
        raise ValueError(f'--seed {seed} is negative; take 0 or more.')
    for split, count in counts.items():
        if count < 0:
            raise ValueError(f'--{split} {count} is negative; take 0 to leave the split out.')
    if not any(counts.values()):
        raise ValueError('Nothing to render: --train, --val and --test are all 0.')
    jobs = []
    for number, split in enumerate(SPLITS):
        for index in range(counts.get(split, 0)):
            name = f'{split}_{index:05d}.png'
            paths = (out / folder / split / name for folder in ('img_dir', 'ann_dir'))
            jobs.append(Job(seed, split, index, size, styles.word(seed, number, index), *paths))
    return jobs


def claim_folder(out: Path, jobs: list[Job], size: int, seed: int, styles: StyleMix) -> None:
    """Prepare ``out`` and record how it is rendered, so that a second run goes on with the same images.

    Raises:
        ValueError: The folder holds images rendered with other settings, or images outside the plan.
    """
    settings = {'renderer': RENDERER_VERSION, 'seed': seed, 'size': size}
    if styles.styled:
        settings |= {'styles_version': STYLES_VERSION, 'styles': dict(styles.shares)}
    manifest = out / MANIFEST
    planned = {path for job in jobs for path in (job.image, job.label)}
    present = [p for folder in ('img_dir', 'ann_dir') for p in sorted((out / folder).glob('*/*.png'))]
    unplanned = [p for p in present if p not in planned]
    if manifest.exists():
        recorded = read_json(
            manifest, 'the settings of a rendered dataset; delete that folder or choose another --out'
        )
        if recorded != settings:
            raise ValueError(
                f'{manifest} was rendered with {recorded}, not with {settings} as now requested. '
                'Delete that folder or choose another --out.'
            )
    elif (out / 'img_dir').exists():
        raise ValueError(
            f'{out} holds a dataset that was not rendered here (no {MANIFEST}). Choose another --out.'
        )
    if unplanned:
        raise ValueError(
            f'{out} holds {len(unplanned)} images beyond the asked counts, the first {unplanned[0]}. '
            'Ask for at least as many images as before, delete these, or choose another --out.'
        )
    write(manifest, json.dumps(settings) + '\n')  # first: without it the folders are those of someone else
    for job in jobs:
        job.image.parent.mkdir(parents=True, exist_ok=True)
        job.label.parent.mkdir(parents=True, exist_ok=True)
    if styles.styled:
        words = {f'{job.split}/{job.image.name}': job.style or NONE for job in jobs}
        write(out / STYLES_FILE, json.dumps(words, indent=0) + '\n')


def render_dataset(
    out: Path,
    counts: dict[str, int],
    size: int = 512,
    seed: int = 0,
    workers: int = 1,
    styles: Sequence[str] = (),
) -> Iterator[Result]:
    """Render a dataset into ``out`` and yield one result per image, in no particular order.

    Complete images that are there already are kept. The files do not depend on ``workers``.

    Args:
        out: Folder that gets img_dir/ and ann_dir/ with a folder per split.
        counts: Images per split, ``dict(train=..., val=..., test=...)``.
        size: Side of the square images in pixels.
        seed: Another seed gives another dataset.
        workers: Number of processes.
        styles: Words, each with or without its share of the images: ``('rust',)``, ``('rust', 'peeling')``,
            ``('none=0.5', 'rust=0.5')``; none: unstyled. The word of each image is written to
            ``out/styles.json``; an image without defects looks the same in every style.

    Raises:
        ValueError: See :func:`plan`, :func:`claim_folder` and :meth:`StyleMix.parse`; or another process is rendering
            into ``out``.
    """
    if workers < 1:
        raise ValueError(f'--workers {workers}: at least one process has to draw.')
    out = Path(out)
    shares = StyleMix.parse(styles)
    jobs = plan(out, counts, size, seed, shares)
    with locked(out / LOCK, f'the dataset folder {out}'):
        remove_drafts(out)
        claim_folder(out, jobs, size, seed, shares)
        if workers == 1:
            yield from map(run_job, jobs)
        else:
            yield from _in_processes(run_job, jobs, workers)


def _in_processes(work: Callable[[Job], Result], jobs: list[Job], workers: int) -> Iterator[Result]:
    with worker_pool(min(workers, len(jobs))) as pool:
        rest = iter(jobs)
        running = {pool.submit(work, job) for job in islice(rest, 3 * workers)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
                running |= {pool.submit(work, job) for job in islice(rest, len(done))}
        finally:
            # After an error or Ctrl-C the images in progress are finished and no others are started.
            for future in running:
                future.cancel()


def run_job(job: Job) -> Result:
    """Render one image and its label unless both are there; the label is written last."""
    cv2.setNumThreads(1)
    if _is_complete(job.image) and _is_complete(job.label):
        label = cv2.imread(str(job.label), cv2.IMREAD_UNCHANGED)
        if label is not None and label.shape == (job.size, job.size):
            return Result(False, _pixels(label))
    blade = render_blade(job.seed, job.split, job.index, job.size, job.style)
    for path, image in ((job.image, blade.image), (job.label, blade.label)):
        write(path, cv2.imencode('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, 4])[1].tobytes())
    return Result(True, _pixels(blade.label))


def _pixels(label: np.ndarray) -> tuple[int, int, int]:
    return tuple(int(n) for n in np.bincount(label.ravel(), minlength=3)[:3])


def _is_complete(path: Path) -> bool:
    try:
        with path.open('rb') as file:
            head = file.read(len(_PNG_HEAD))
            file.seek(-len(_PNG_TAIL), os.SEEK_END)
            return head == _PNG_HEAD and file.read() == _PNG_TAIL
    except OSError:
        return False
