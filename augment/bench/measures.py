"""Time of this package: whole batches, and single inner steps while the measures are added one by one."""

import json
import time
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from augment.bench.random_model import TimedModel, build_model
from augment.bench.reference import (
    GUIDANCE,
    RLI_ALPHA,
    SOURCE,
    TARGET,
    WORD,
    ExplicitAttention,
    peak_memory,
    timed,
)
from augment.config import AugmentConfig
from augment.diffusion.attention import AttentionProcessors, EditAttention
from augment.diffusion.editing import edit
from augment.diffusion.inner_step import InnerStep, RowInputs
from augment.diffusion.inversion import invert
from augment.diffusion.loading import DTYPES
from augment.diffusion.null_text import learning_rate, stop_loss
from augment.diffusion.sampling import ddim_schedule
from augment.safeguards import reproducible


def measure_ours(model: TimedModel, images: Tensor, steps: int) -> dict[str, Any]:
    """Seconds per image of one whole batch, after a short run in which the graphs are captured."""
    device, batch = model.device, len(images)

    def warm_up() -> None:
        latents = model.encode_images(images[:1]).expand(batch, -1, -1, -1)
        invert(model, latents, SOURCE, steps=1, inner_steps=1, early_stop=False)
        edit(model, invert(model, latents, SOURCE, method='direct', steps=10), SOURCE, TARGET, WORD)
        model.decode_latents(latents[:1])

    peak_memory(device)  # from here on: a replayed graph allocates nothing, its memory counts at capture
    setup = timed(device, warm_up)
    results: dict[str, Any] = {}
    runs = {
        'encode': lambda: results.update(latents=model.encode_images(images)),
        'inversion and null-text': lambda: results.update(
            inversion=invert(model, results['latents'], SOURCE, steps=steps, early_stop=False)
        ),
        'edit': lambda: results.update(edit=edit(model, results['inversion'], SOURCE, TARGET, WORD)),
        'decode': lambda: model.decode_latents(
            torch.cat([results['edit'].reconstruction, results['edit'].edited])
        ),
    }
    seconds = {}
    for name, run in runs.items():
        seconds[name] = timed(device, run) / batch
        print(json.dumps({'part': name, 'seconds_per_image': round(seconds[name], 3)}), flush=True)
    on_gpu = device.type == 'cuda'
    return {
        'seconds_per_image': sum(seconds.values()),
        'parts': seconds,
        'batch': batch,
        'setup_seconds_once': setup,
        'peak_memory_gib': peak_memory(device),
        'allocated_memory_gib': round(torch.cuda.memory_allocated() / 2**30, 2) if on_gpu else None,
        'reserved_memory_gib': round(torch.cuda.max_memory_reserved() / 2**30, 2) if on_gpu else None,
        'inner_steps_taken': sum(results['inversion'].stats['inner_steps']) // batch,
    }


def measure_largest_batch(
    parts: tuple,
    device: str,
    dtype: str,
    images: Tensor,
    steps: int,
    options: dict[str, bool],
    deterministic: bool = False,
) -> dict[str, Any]:
    """``measure_ours`` with as many of the images as the memory holds, halving their number until they fit.

    ``deterministic`` takes the deterministic kernels, as the command does.
    """
    batch = len(images)
    while True:
        model = build_model(*parts, device, DTYPES[dtype], **options)
        try:
            with reproducible(0) if deterministic else nullcontext():
                return measure_ours(model, images[:batch], steps)
        except torch.OutOfMemoryError:
            if batch == 1:
                raise
            print(f'batch {batch} does not fit, trying {batch // 2}', flush=True)
        finally:
            model.release()
        # Not in the handler: its traceback holds on to the tensors.
        free_memory(device)
        batch //= 2


def free_memory(device: str | torch.device) -> None:
    """Hand the GPU memory that is not in use back, and count the peaks anew."""
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def inner_step_time(model: TimedModel, latents: Tensor, repeats: int, explicit: bool) -> float:
    """Milliseconds of one inner step per image: forward, backward and Adam."""
    schedule = ddim_schedule(model.scheduler, AugmentConfig.steps)
    null = model.encode_prompt([''])
    attention = AttentionProcessors(
        model.unet, RLI_ALPHA, processor=ExplicitAttention if explicit else EditAttention
    )
    with attention.installed():
        inner = InnerStep(model, latents, null, attention)
        inner.guidance.fill_(GUIDANCE)
        rows = torch.arange(len(latents), device=model.device)
        factors = schedule.timesteps[0], schedule.keep[0], schedule.add[0], learning_rate(0), stop_loss(0)
        scalars = (torch.tensor([value], device=model.device).expand(len(rows)) for value in factors)
        inner.begin(rows, RowInputs(latents, latents, latents, null.expand(len(rows)), *scalars))
        inner()
        seconds = timed(model.device, lambda: [inner() for _ in range(repeats)])
    return seconds / repeats / len(latents) * 1e3


def measures(dtype: str, batch: int, compile: bool) -> list[tuple[str, torch.dtype, int, dict]]:
    """Name, number format, images and model options of each measure, each added to the ones before."""
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
    return rows


def ablation(
    parts: tuple, device: str, size: tuple[int, int], dtype: str, batch: int, compile: bool, repeats: int
) -> list[dict]:
    """Milliseconds of an inner step per image for each of ``measures``, on latents of ``size = (h, w)``."""
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(batch, 4, *size, generator=generator).to(device)
    rows = []
    for name, number_format, images, options in measures(dtype, batch, compile):
        start = time.perf_counter()
        explicit = options.pop('explicit', False)
        row: dict[str, Any] = {'measure': name, 'options': options}
        try:
            model = build_model(*parts, device, number_format, **options)
            row['inner_step_ms_per_image'] = inner_step_time(model, latents[:images], repeats, explicit)
        except Exception as error:  # a measure that fails on this machine must not cost the others
            row['failed'] = f'{type(error).__name__}: {str(error)[:300]}'
        row['peak_memory_gib'] = peak_memory(device)
        free_memory(device)
        row['took_s'] = round(time.perf_counter() - start, 1)
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows
