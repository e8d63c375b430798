"""The benchmark's command: ``python augment/benchmark.py``."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

Count = Annotated[int, Parameter(validator=Number(gte=1))]

app = App(name='augment/benchmark.py', result_action='return_value')


@app.default
def command(
    *,
    size: Literal['sdxl', 'tiny'] = 'sdxl',
    resolution: Count = 512,
    batch: Count = 16,
    ablation_batch: Count | None = None,
    dtype: Literal['fp16', 'bf16', 'fp32'] = 'fp16',
    steps: Count = 50,
    reference_steps: Count = 3,
    repeats: Count = 3,
    compile: bool = False,
    device: str = 'auto',
    out: Path | None = None,
) -> None:
    """Time inversion and editing, reference style against this package, at full size with random weights.

    Time does not depend on the weights, so they are drawn on the device. Every inner step is taken: the stop rule is
    off, since it does depend on them.

    Example: python augment/benchmark.py --size sdxl --resolution 512 --batch 16 --out 512.json

    Parameters
    ----------
    size
        Size of the model; tiny tries the benchmark itself.
    resolution
        Side of the square images in pixels.
    batch
        Images inverted and edited together; halved until the memory suffices.
    ablation_batch
        Batch of the single measures; left out: as --batch.
    dtype
        Number format of the UNet, ours.
    steps
        DDIM steps.
    reference_steps
        DDIM steps of the reference that are measured, then scaled.
    repeats
        Inner steps timed per measure.
    compile
        Also try compiled blocks.
    device
        auto, cpu, cuda or cuda:N.
    out
        JSON file for the figures.
    """
    from augment.files import write_bytes

    report = benchmark(
        size,
        resolution,
        batch,
        device=device,
        dtype=dtype,
        steps=steps,
        reference_steps=reference_steps,
        ablation_batch=ablation_batch,
        compile=compile,
        repeats=repeats,
    )
    text = json.dumps(report, indent=2)
    print(text)
    if out is not None:
        write_bytes(out, (text + '\n').encode())


def benchmark(
    size: str,
    resolution: int,
    batch: int,
    *,
    device: str,
    dtype: str,
    steps: int,
    reference_steps: int,
    ablation_batch: int | None,
    compile: bool,
    repeats: int,
) -> dict[str, Any]:
    """Measure reference style, the measures one by one, and this package; see ``command`` for the arguments."""
    import torch

    from augment.bench.measures import ablation, measure_largest_batch
    from augment.bench.random_model import build_parts
    from augment.bench.reference import INNER_STEPS, measure_reference
    from augment.diffusion.model import SDXL_VAE_SCALE

    if device == 'auto':
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parts = build_parts(size, device)
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(batch, 3, resolution, resolution, generator=generator) * 2 - 1).to(device)
    cells = resolution // SDXL_VAE_SCALE
    report: dict[str, Any] = {
        'size': size,
        'resolution': resolution,
        'steps': steps,
        'inner_steps': INNER_STEPS,
        'dtype': dtype,
        'torch': torch.__version__,
        'device': torch.cuda.get_device_name() if torch.device(device).type == 'cuda' else 'cpu',
    }
    # The reference is first: half precision rounds the float32 weights for good, which timing does not mind.
    report['reference'] = measure_reference(parts, device, images, steps, min(reference_steps, steps))
    print(json.dumps(report['reference']), flush=True)
    ablation_batch = ablation_batch or batch
    report['ablation'] = ablation(parts, device, (cells, cells), dtype, ablation_batch, compile, repeats)
    with_graphs = [row for row in report['ablation'] if 'graphs' in row['options']]
    fastest = min(with_graphs, key=lambda row: row.get('inner_step_ms_per_image', math.inf))
    report['ours'] = measure_largest_batch(parts, device, dtype, images, steps, fastest['options'])
    report['ours']['options'] = fastest['options']
    report['times_faster'] = report['reference']['seconds_per_image'] / report['ours']['seconds_per_image']
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 2 for arguments that cannot be used."""
    try:
        app(sys.argv[1:] if argv is None else list(argv), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0
