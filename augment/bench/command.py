"""The benchmark's command: ``python augment/benchmark.py``."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from augment.config import AugmentConfig


def count(text: str) -> Any:
    """Type of a positive whole number with its help text."""
    return Annotated[int, Parameter(validator=Number(gte=1), help=text)]


@Parameter(name='*')
@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What is measured."""

    size: Annotated[Literal['sdxl', 'tiny'], Parameter(help='model; tiny tries the benchmark itself')] = (
        'sdxl'
    )
    resolution: count('side of the square images in pixels') = 512
    batch: Annotated[
        list[Annotated[int, Parameter(validator=Number(gte=1))]],
        Parameter(
            help='images inverted and edited together; halved until the memory suffices. Several are measured one after '
            'the other',
            consume_multiple=True,
        ),
    ] = field(default_factory=lambda: [16])
    deterministic: Annotated[
        Literal['on', 'off', 'both'],
        Parameter(help='deterministic kernels; on is what the augmentation command uses'),
    ] = 'on'
    ablation: Annotated[
        bool,
        Parameter(
            help='measure single inner steps while the measures are added one by one',
            negative='--no-ablation',
        ),
    ] = True
    ablation_batch: count('batch of the single measures; left out: the first --batch') | None = None
    dtype: Annotated[Literal['fp16', 'bf16', 'fp32'], Parameter(help='number format of the UNet, ours')] = (
        'fp16'
    )
    steps: count('DDIM steps') = AugmentConfig.steps
    reference_steps: count('DDIM steps of the reference that are measured, then scaled') = 3
    repeats: count('inner steps timed per measure') = 3
    compile: Annotated[
        bool, Parameter(help='with compiled blocks; with --ablation, only where they are faster')
    ] = False
    device: Annotated[str, Parameter(help='auto, cpu, cuda or cuda:N')] = 'auto'


app = App(name='augment/benchmark.py', version_flags=(), result_action='return_value')


@app.default
def command(
    options: BenchOptions | None = None,
    *,
    out: Annotated[Path | None, Parameter(help='JSON file for the figures')] = None,
) -> None:
    """Time inversion and editing, reference style against this package, at full size with random weights.

    Time does not depend on the weights, so they are drawn on the device. Every inner step is taken: the stop rule is
    off, since it does depend on them.

    Example: python augment/benchmark.py --size sdxl --resolution 512 --batch 16 --out 512.json
    """
    from augment.files import write_bytes

    text = json.dumps(benchmark(options or BenchOptions()), indent=2)
    print(text)
    if out is not None:
        write_bytes(out, (text + '\n').encode())


def benchmark(options: BenchOptions) -> dict[str, Any]:
    """Measure reference style, the measures one by one, and this package."""
    import torch

    from augment.bench.measures import ablation, free_memory, measure_largest_batch
    from augment.bench.random_model import build_parts
    from augment.bench.reference import INNER_STEPS, measure_reference
    from augment.diffusion.model import SDXL_VAE_SCALE
    from augment.safeguards import reproducible

    o, device = options, options.device
    if device == 'auto':
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if o.deterministic != 'off':
        with reproducible(0):
            pass  # cuBLAS reads its setting when it is used first
    parts = build_parts(o.size, device)
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(max(o.batch), 3, o.resolution, o.resolution, generator=generator) * 2 - 1).to(device)
    cells = o.resolution // SDXL_VAE_SCALE
    report: dict[str, Any] = {
        'size': o.size,
        'resolution': o.resolution,
        'steps': o.steps,
        'inner_steps': INNER_STEPS,
        'dtype': o.dtype,
        'torch': torch.__version__,
        'device': torch.cuda.get_device_name() if torch.device(device).type == 'cuda' else 'cpu',
    }
    # The reference is first: half precision rounds the float32 weights for good, which timing does not mind.
    report['reference'] = measure_reference(parts, device, images, o.steps, min(o.reference_steps, o.steps))
    print(json.dumps(report['reference']), flush=True)
    model_options = {'graphs': True, 'compile': o.compile}
    if o.ablation:
        rows = ablation(
            parts, device, (cells, cells), o.dtype, o.ablation_batch or o.batch[0], o.compile, o.repeats
        )
        report['ablation'] = rows
        with_graphs = [row for row in rows if 'graphs' in row['options']]
        fastest = min(with_graphs, key=lambda row: row.get('inner_step_ms_per_image', math.inf))
        model_options = fastest['options']
    report['runs'] = []
    for deterministic in {'on': (True,), 'off': (False,), 'both': (True, False)}[o.deterministic]:
        for batch in o.batch:
            free_memory(device)
            run = measure_largest_batch(
                parts, device, o.dtype, images[:batch], o.steps, dict(model_options), deterministic
            )
            run = run | {'options': model_options, 'deterministic': deterministic}
            run['times_faster'] = report['reference']['seconds_per_image'] / run['seconds_per_image']
            print(json.dumps(run), flush=True)
            report['runs'].append(run)
    report['ours'] = min(report['runs'], key=lambda run: run['seconds_per_image'])
    report['times_faster'] = report['ours']['times_faster']
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 2 for arguments that cannot be used."""
    try:
        app(sys.argv[1:] if argv is None else list(argv), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0
