"""``wta-seg bench relabel``, ``bench plant`` and ``bench twins``: what is known exactly on rendered images alone."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from wtaseg.cli import MANY, stoppable
from wtaseg.cli.figures import Count, Positive, report
from wtaseg.relabel.options import PROPOSAL_DEFAULTS, ProposalOptions

CPUS = os.cpu_count() or 1


def relabel(
    *,
    images: Positive = 40,
    seed: Count = 3,
    size: Positive = 512,
    noise: Annotated[tuple[float, ...], MANY] = (0.0, 3.0),
    model: str | None = None,
    device: str | None = None,
    options: ProposalOptions = PROPOSAL_DEFAULTS,
    json: Path | None = None,
) -> int:
    """Compare copied and proposed labels with the truth on rendered twins, as a Markdown table.

    Example: `wta-seg bench relabel --images 40`

    Parameters
    ----------
    images
        rendered images with defects, each in the six words
    seed
        of the renderer
    size
        side of the images in pixels
    noise
        standard deviations in levels of 255 of noise added to the edits near the defects [default: 0 3]
    model
        segmenter as for wta-seg relabel [default: none]
    device
        of the segmenter
    json
        also write the result to this file
    """
    from wtaseg.bench.relabel import measure_with_progress, table

    rows = measure_with_progress(images, seed, size, noise, options, model, device)
    report(table(rows), [asdict(row) for row in rows], json, indent=2)
    return 0


def plant(
    *,
    images: Positive = 80,
    seed: Count = 5,
    size: Positive = 512,
    defects: Positive = 100,
    difference: Annotated[tuple[float, ...], MANY] = (6.0, 9.0, 12.0, 16.0),
    json: Path | None = None,
) -> int:
    """Count how many planted defects lie on the part, for each --plant-difference, as a Markdown table.

    Example: `wta-seg bench plant --images 80`

    Parameters
    ----------
    images
        rendered images, which give defects and normal images
    seed
        of the renderer
    size
        side of the images in pixels
    defects
        to plant of each class
    difference
        values of --plant-difference of wta-seg augment [default: 6 9 12 16]
    json
        also write the result to this file
    """
    from wtaseg.bench.planting import measure, table

    rows = measure(images, seed, size, defects, difference)
    report(table(rows), [asdict(row) for row in rows], json, indent=2)
    return 0


def twins(data: Path, /, *, word: str = 'peeling', workers: Positive = CPUS) -> int:
    """Write ideal edits of a rendered dataset, with copied, proposed and true labels, for the study twins.

    Example: `wta-seg bench twins data/wta_512 --word peeling`

    Each training image is drawn again in the style of the word. Beside DATA, three datasets hold the originals and these
    twins: DATA_twins_WORD_copied, _proposed and _true.

    Parameters
    ----------
    data
        dataset of wta-seg render without styles
    word
        the style
    workers
        processes that draw
    """
    from wtaseg.relabel.twins import write_twins

    with stoppable():
        roots = write_twins(data, word, workers)
    print('\n'.join(map(str, roots)))
    return 0
