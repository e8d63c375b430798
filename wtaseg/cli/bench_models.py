"""``wta-seg bench train`` and ``wta-seg bench test``."""

import json as json_format
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from wtaseg.cli import FAILED, MANY, image_size
from wtaseg.cli.figures import Count, Positive, report


@Parameter(name='*')
@dataclass(frozen=True)
class StepOptions:
    """Options of ``bench train``, see :func:`wtaseg.bench.step.measure`.

    Parameters
    ----------
    batch
        images of a step [default: as the config says]
    size
        side of the square images
    amp
        mixed precision, as in training
    eager
        on a GPU: do not capture the step in a CUDA graph
    fp32
        on a GPU: in float32 instead of bfloat16
    compile
        mode of torch.compile for the losses: default, or with --eager reduce-overhead
    steps
        timed steps
    warmup
        steps before
    top
        longest kernels to list, on a GPU
    """

    batch: Positive | None = None
    size: Positive = 512
    amp: bool = False
    eager: bool = False
    fp32: bool = False
    compile: str | None = None
    steps: Positive = 30
    warmup: Count = 8
    top: Count = 12


def train(
    config: str,
    /,
    *,
    options: StepOptions = StepOptions(),
    gpus: Positive = 1,
    against: str | None = None,
    json: Path | None = None,
) -> int:
    """Time one training step without its data loader: preprocessing, forward, losses, backward, clipping, optimizer.

    Example: `wta-seg bench train fastscnn/fast_scnn_4xb4-40k_wta-512x512 --batch 8`

    Parameters
    ----------
    config
        config of the experiment: its name below configs/, or a path
    gpus
        also with so many GPUs, each with this batch, and the ratio of images per second
    against
        command of an interpreter that has mmsegmentation: its step too and the ratio, both with plain cross entropy
    json
        also write the result to this file
    """
    from mmseg.engine.captured import StepSettings
    from wtaseg.bench.step import measure, measure_peer
    from wtaseg.runs.layout import find_config

    path, given = find_config(config), asdict(options)
    settings = StepSettings(
        capture=not given.pop('eager'), dtype='float32' if given.pop('fp32') else 'bfloat16'
    )
    if gpus > 1:
        return _compare_counts(dict(given, config=str(path), settings=asdict(settings)), gpus, against, json)
    result = asdict(measure(path, **given, settings=settings, cross_entropy=against is not None))
    if against is not None:
        try:
            result['other'] = measure_peer(
                against, path, options.batch, options.size, options.steps, options.warmup
            )
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return FAILED
        result['times_faster'] = result['other']['whole_ms'] / result['whole_ms']
    report(json_format.dumps(result, indent=2), result, json, indent=2)
    return 0


def _compare_counts(options: dict[str, Any], gpus: int, against: str | None, json: Path | None) -> int:
    """``bench train --gpus N``."""
    import torch

    from wtaseg.bench.several_gpus import compare

    if against is not None:
        raise ValueError('--against: compares the step of one GPU; leave out --gpus')
    if gpus > torch.cuda.device_count():
        raise ValueError(
            f'--gpus: {gpus} asked for, but {torch.cuda.device_count()} visible; expected at most as many'
        )
    try:
        result = compare(options, gpus)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return FAILED
    report(json_format.dumps(result, indent=2), result, json, indent=2)
    return 0


def test(
    config: str,
    /,
    *,
    shape: Annotated[tuple[int, ...], MANY] = (512, 512),
    batch: Positive = 1,
    window: Positive | None = None,
    stride: Positive | None = None,
    images: Positive = 10,
    warmup: Count = 2,
    rounds: Positive = 3,
    against: str | None = None,
    json: Path | None = None,
) -> int:
    """Time the prediction of images, from 8-bit pixels to classes at full size, with random weights.

    Example: `wta-seg bench test fastscnn/fast_scnn_4xb4-40k_wta-512x512 --shape 1536 2048 --window 512 --stride 341`

    Parameters
    ----------
    config
        config of the experiment: its name below configs/, or a path
    shape
        height and width, or one side [default: 512]
    batch
        images at once
    window
        side of sliding windows [default: whole images, or as the config says]
    stride
        of the windows [default: two thirds of the window]
    images
        timed batches in each round
    warmup
        batches before, in each round
    rounds
        rounds; with --against both take turns
    against
        command of an interpreter that has mmsegmentation
    json
        also write the result to this file
    """
    from wtaseg.bench.inference import measure
    from wtaseg.runs.layout import find_config

    size = image_size(shape)
    try:
        result = measure(find_config(config), size, batch, window, stride, images, warmup, rounds, against)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return FAILED
    report(json_format.dumps(asdict(result), indent=2), asdict(result), json, indent=2)
    return 0
