"""Time the training step of an experiment on one GPU and on several, with the same batch on each.

Each count runs in processes of its own; the first process writes what it measured to a file.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist

from mmseg.engine.captured import StepSettings
from mmseg.utils.distributed_run import end_distributed_run
from wtaseg.bench.step import measure
from wtaseg.torchrun import command_line


def compare(options: Mapping[str, Any], gpus: int) -> dict[str, Any]:
    """Times of one process and of ``gpus`` processes, and their ratio.

    Args:
        options: arguments of :func:`wtaseg.bench.step.measure` that JSON can hold; ``settings`` as a dict.
        gpus: number of processes.

    Returns:
        ``one`` and ``several``, each a :class:`wtaseg.bench.step.StepTimes` as a dict with ``iterations_per_second``;
        ``gpus``; ``times_faster``: images per second of all GPUs, as a multiple of those of one.

    Raises:
        RuntimeError: a process failed; its output is on stderr.
    """
    result: dict[str, Any] = dict(gpus=gpus)
    with TemporaryDirectory() as folder:
        for name, count in (('one', 1), ('several', gpus)):
            path = Path(folder, f'{name}.json')
            command = [*command_line(count), '-m', __spec__.name, str(path), json.dumps(options)]
            if count == 1:
                command = [sys.executable, *command[command.index('-m', 3) :]]
            ran = subprocess.run(command, stdout=sys.stderr, check=False)
            if ran.returncode or not path.is_file():
                raise RuntimeError(f'bench train in {count} processes: exit status {ran.returncode}')
            result[name] = json.loads(path.read_text())
            result[name]['iterations_per_second'] = 1e3 / result[name]['whole_ms']
    rates = [result[name]['iterations_per_second'] for name in ('one', 'several')]
    result['times_faster'] = gpus * rates[1] / rates[0]
    return result


def main(argv: list[str]) -> None:
    """One process: a path and the options as JSON."""
    path, options = Path(argv[0]), json.loads(argv[1])
    if int(os.environ.get('WORLD_SIZE', '1')) > 1:
        on_gpu = torch.cuda.is_available()
        if on_gpu:
            torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
        dist.init_process_group('nccl' if on_gpu else 'gloo')
    times = asdict(measure(**options | dict(settings=StepSettings(**options['settings']))))
    if not dist.is_initialized() or dist.get_rank() == 0:
        path.write_text(json.dumps(times))
    end_distributed_run()


if __name__ == '__main__':
    main(sys.argv[1:])
