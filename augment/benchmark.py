"""Time inversion and editing, reference style against this package, at full size with random weights.

    python augment/benchmark.py --size sdxl --resolution 512 --batch 16 --out 512.json

Time does not depend on the weights, so they are drawn on the device. Every inner step is taken: the stop rule is
off, since it does depend on them.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

if __package__ in (None, ''):  # run as a file: the package is beside it, not installed
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from augment.attention import EditAttention, attention_control
from augment.editing import edit
from augment.files import write_bytes
from augment.inversion import invert
from augment.loading import DTYPES
from augment.model import PromptEmbeddings
from augment.null_text import InnerStep, learning_rate
from augment.random_model import SIZES, TimedModel, build_model, build_parts
from augment.sampling import Schedule, ddim_schedule, guide

SOURCE, TARGET, WORD = 'photo of a crack', 'photo of a crack with peeling', 'peeling'
GUIDANCE, RLI_ALPHA, INNER_STEPS = 15.0, 0.1, 10


class ExplicitAttention(EditAttention):
    """Attention that writes its maps to memory, as the published code does."""

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, scale: float, *, cross: bool) -> Tensor:
        return (query @ key.transpose(-1, -2) * scale).softmax(dim=-1) @ value


def write_maps(model: TimedModel) -> None:
    """Put explicit attention in the place of the installed processors, with their interpolation."""
    installed = model.unet.attn_processors.items()
    model.unet.set_attn_processor({name: ExplicitAttention(layer.rli_alpha) for name, layer in installed})


def synchronize(device: str) -> None:
    """Wait for the device."""
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()


def timed(device: str, run: Callable[[], Any]) -> float:
    """Seconds that ``run`` takes, device work included."""
    synchronize(device)
    start = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - start


def peak_memory(device: str) -> float | None:
    """Peak of allocated GPU memory in GiB since the last call; None on the CPU."""
    if torch.device(device).type != 'cuda':
        return None
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 2)


def reference_style(model: TimedModel, image: Tensor, schedule: Schedule, steps: int) -> dict[str, float]:
    """Seconds for the first ``steps`` DDIM steps of each part, done as the published code does them.

    Float32, one image, explicit attention, no graph. The frozen UNet and the conditional prediction taken once per
    DDIM step in the inner loop are granted to it; map replacement is left out, which favours it.
    """
    source, null = (model.encode_prompt([prompt]) for prompt in (SOURCE, ''))
    timesteps = [torch.tensor([t], device=model.device) for t in schedule.timesteps]
    write_maps(model)
    latent = model.encode_images(image)

    def invert_steps() -> None:
        z = latent
        with torch.no_grad():
            for i in reversed(range(len(schedule) - steps, len(schedule))):
                z = schedule.invert(i, z, model.predict(z, timesteps[i], source.tokens, source.pooled))

    def optimise_steps() -> None:
        z, tokens, pooled = latent, null.tokens, null.pooled
        for i in range(steps):
            tokens, pooled = (t.detach().clone().requires_grad_() for t in (tokens, pooled))
            adam = torch.optim.Adam([tokens, pooled], lr=learning_rate(i))
            with torch.no_grad():
                conditional = model.predict(z, timesteps[i], source.tokens, source.pooled)
            for _ in range(INNER_STEPS):
                without = model.predict(z, timesteps[i], tokens, pooled)
                loss = (
                    (schedule.denoise(i, z, guide(without, conditional, GUIDANCE)) - latent).square().mean()
                )
                adam.zero_grad()
                loss.backward()
                adam.step()
                loss.item()
            with torch.no_grad():
                both = PromptEmbeddings.cat([PromptEmbeddings(tokens, pooled), source])
                pair = model.predict(torch.cat([z, z]), timesteps[i], both.tokens, both.pooled)
                z = schedule.denoise(i, z, guide(*pair.chunk(2), GUIDANCE))

    def edit_steps() -> None:
        rows = PromptEmbeddings.cat([null, null, source, source])
        z = latent.repeat(2, 1, 1, 1)
        with torch.no_grad():
            for i in range(steps):
                pair = model.predict(torch.cat([z, z]), timesteps[i], rows.tokens, rows.pooled)
                z = schedule.denoise(i, z, guide(*pair.chunk(2), GUIDANCE))

    def autoencoder() -> None:
        z = model.encode_images(image)
        model.decode_latents(torch.cat([z, z]))

    with torch.no_grad():  # the first pass chooses algorithms
        model.predict(latent, timesteps[0], source.tokens, source.pooled)
    autoencoder()
    factor = len(schedule) / steps
    parts = {'inversion': invert_steps, 'null-text': optimise_steps, 'edit': edit_steps}
    seconds = {name: timed(model.device, run) * factor for name, run in parts.items()}
    return seconds | {'autoencoder': timed(model.device, autoencoder)}


def measure_reference(
    parts: tuple, device: str, images: Tensor, steps: int, whole_steps: int
) -> dict[str, Any]:
    """Part (a), per image."""
    model = build_model(*parts, device, torch.float32)
    peak_memory(device)
    schedule = ddim_schedule(model.scheduler, steps)
    with attention_control(model.unet, RLI_ALPHA):
        seconds = reference_style(model, images[:1], schedule, whole_steps)
    return {
        'style': 'float32, batch 1, explicit attention, eager, every inner step',
        'seconds_per_image': sum(seconds.values()),
        'parts': seconds,
        'measured_ddim_steps': whole_steps,
        'extrapolated_to_ddim_steps': steps,
        'peak_memory_gib': peak_memory(device),
    }


def measure_ours(model: TimedModel, images: Tensor, steps: int) -> dict[str, Any]:
    """Part (b), per image: one batch, whole, after a short run that captures the graphs."""
    device, batch = model.device, len(images)

    def warm_up() -> None:
        latents = model.encode_images(images[:1]).expand(batch, -1, -1, -1)
        invert(model, latents, SOURCE, steps=1, inner_steps=1, early_stop=False)
        edit(model, invert(model, latents, SOURCE, method='ddim', steps=10), SOURCE, TARGET, WORD)
        model.decode_latents(latents[:1])

    peak_memory(device)  # from here on: a replayed graph allocates nothing, its memory shows at capture
    setup = timed(device, warm_up)
    held: dict[str, Any] = {}
    runs = {
        'encode': lambda: held.update(latents=model.encode_images(images)),
        'inversion and null-text': lambda: held.update(
            inversion=invert(model, held['latents'], SOURCE, steps=steps, early_stop=False)
        ),
        'edit': lambda: held.update(result=edit(model, held['inversion'], SOURCE, TARGET, WORD)),
        'decode': lambda: model.decode_latents(
            torch.cat([held['result'].reconstruction, held['result'].edited])
        ),
    }
    seconds = {name: timed(device, run) / batch for name, run in runs.items()}
    reserved = torch.cuda.memory_reserved() / 2**30 if device.type == 'cuda' else None
    return {
        'seconds_per_image': sum(seconds.values()),
        'parts': seconds,
        'batch': batch,
        'setup_seconds_once': setup,
        'peak_memory_gib': peak_memory(device),
        'reserved_memory_gib': reserved and round(reserved, 2),
        'inner_steps_taken': sum(held['inversion'].stats['inner_steps']) // batch,
    }


def measure_largest_batch(
    parts: tuple, device: str, dtype: str, images: Tensor, steps: int, options: dict[str, bool]
) -> dict[str, Any]:
    """Part (b) with as many of the images as the memory holds, halving their number until it does."""
    batch = len(images)
    while True:
        model = build_model(*parts, device, DTYPES[dtype], **options)
        try:
            return measure_ours(model, images[:batch], steps)
        except torch.OutOfMemoryError:
            if batch == 1:
                raise
            print(f'batch {batch} does not fit, trying {batch // 2}', flush=True)
        model.release()  # not in the handler: its traceback holds on to the tensors
        torch.cuda.empty_cache()
        batch //= 2


def inner_step_time(model: TimedModel, latents: Tensor, repeats: int, explicit: bool) -> float:
    """Milliseconds of one inner step per image, forward, backward and Adam."""
    schedule, null = ddim_schedule(model.scheduler, 50), model.encode_prompt([''])
    with attention_control(model.unet, RLI_ALPHA):
        if explicit:
            write_maps(model)
        inner = InnerStep(model, latents, null)
        inner.tokens.value.copy_(null.tokens.expand(len(latents), -1, -1))
        inner.pooled.value.copy_(null.pooled.expand(len(latents), -1))
        inner.begin(schedule, 0, latents, latents, latents, GUIDANCE)
        inner(0)
        seconds = timed(model.device, lambda: [inner(i) for i in range(repeats)])
    return seconds / repeats / len(latents) * 1e3


def ablation(
    parts: tuple, device: str, size: tuple[int, int], dtype: str, batch: int, compile: bool, repeats: int
) -> list[dict]:
    """Milliseconds of an inner step per image while the measures are added one by one; the last ones to the batch."""
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(batch, 4, *size, generator=generator).to(device)
    half, graphs = DTYPES[dtype], {'graphs': True}
    rows: list[tuple[str, torch.dtype, int, dict]] = [
        ('reference (float32, batch 1, explicit attention, eager)', torch.float32, 1, {'explicit': True}),
        ('+ fused attention', torch.float32, 1, {}),
        (f'+ {dtype}', half, 1, {}),
        ('+ CUDA graph', half, 1, graphs),
        (f'+ batch {batch}', half, batch, graphs),
        ('+ channels_last', half, batch, graphs | {'channels_last': True}),
    ]
    if compile:
        rows.append(('+ compiled blocks', half, batch, graphs | {'compile': True}))
        rows.append(('+ both', half, batch, graphs | {'compile': True, 'channels_last': True}))
    found = []
    for name, number_format, images, options in rows:
        start = time.perf_counter()
        explicit = options.pop('explicit', False)
        row: dict[str, Any] = {'measure': name, 'options': options}
        try:
            model = build_model(*parts, device, number_format, **options)
            row['inner_step_ms_per_image'] = inner_step_time(model, latents[:images], repeats, explicit)
        except Exception as error:  # a measure that fails on this machine must not cost the other figures
            row['failed'] = f'{type(error).__name__}: {str(error)[:300]}'
        if torch.device(device).type == 'cuda':
            torch.cuda.empty_cache()
        row['peak_memory_gib'] = peak_memory(device)
        row['took_s'] = round(time.perf_counter() - start, 1)
        print(json.dumps(row), flush=True)
        found.append(row)
    return found


def benchmark(
    size: str,
    resolution: int,
    batch: int,
    *,
    device: str,
    dtype: str = 'fp16',
    steps: int = 50,
    reference_steps: int = 3,
    ablation_batch: int | None = None,
    compile: bool = False,
    repeats: int = 3,
) -> dict[str, Any]:
    """Measure reference style, the measures one by one, and this package; see ``main`` for the arguments."""
    parts = build_parts(size, device)
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(batch, 3, resolution, resolution, generator=generator) * 2 - 1).to(device)
    cells = resolution // 8
    report: dict[str, Any] = {
        'size': size,
        'resolution': resolution,
        'steps': steps,
        'inner_steps': INNER_STEPS,
        'dtype': dtype,
        'torch': torch.__version__,
        'device': torch.cuda.get_device_name() if torch.device(device).type == 'cuda' else 'cpu',
    }
    # The reference is first: half precision rounds the float32 weights for good, which timing doesn't mind.
    report['reference'] = measure_reference(parts, device, images, steps, min(reference_steps, steps))
    print(json.dumps(report['reference']), flush=True)
    report['ablation'] = ablation(
        parts, device, (cells, cells), dtype, ablation_batch or batch, compile, repeats
    )
    with_graphs = [row for row in report['ablation'] if 'graphs' in row['options']]
    fastest = min(with_graphs, key=lambda row: row.get('inner_step_ms_per_image', math.inf))
    report['ours'] = measure_largest_batch(parts, device, dtype, images, steps, fastest['options'])
    report['ours']['options'] = fastest['options']
    report['times_faster'] = report['reference']['seconds_per_image'] / report['ours']['seconds_per_image']
    return report


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--size', choices=SIZES, default='sdxl', help='tiny tries the benchmark itself')
    parser.add_argument('--resolution', type=int, default=512, help='side of the square images in pixels')
    parser.add_argument(
        '--batch',
        type=int,
        default=16,
        help='images inverted and edited together; halved until the memory suffices',
    )
    parser.add_argument(
        '--ablation-batch', type=int, help='batch of the single measures; left out: as --batch'
    )
    parser.add_argument('--dtype', choices=DTYPES, default='fp16', help='number format of the UNet, ours')
    parser.add_argument('--steps', type=int, default=50, help='DDIM steps')
    parser.add_argument(
        '--reference-steps',
        type=int,
        default=3,
        help='DDIM steps of the reference that are measured, then scaled',
    )
    parser.add_argument('--repeats', type=int, default=3, help='inner steps timed per measure')
    parser.add_argument('--compile', action='store_true', help='also try compiled blocks')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--out', type=Path, help='JSON file for the figures')
    options = vars(parser.parse_args())
    out = options.pop('out')
    report = benchmark(options.pop('size'), options.pop('resolution'), options.pop('batch'), **options)
    text = json.dumps(report, indent=2)
    print(text)
    if out is not None:
        write_bytes(out, (text + '\n').encode())


if __name__ == '__main__':
    main()
