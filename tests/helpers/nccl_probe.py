"""What of NCCL works on the GPUs of this machine: ``torchrun --standalone --nproc_per_node=2 tests/helpers/nccl_probe.py``.

Each line is one check and its result in JSON; without GPUs it runs over gloo and captures nothing. With ``$OUT`` the
lines also go to ``$OUT/nccl_probe.json``.
"""

import json
import os
import time
import traceback
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

CUDA = torch.cuda.is_available()
SIZE = 64


def report(name: str, **values) -> None:
    """Print one result, and add it to the file, in the first process."""
    if dist.get_rank() == 0:
        line = json.dumps(dict(check=name, **values))
        print(line, flush=True)
        if 'OUT' in os.environ:
            with Path(os.environ['OUT'], 'nccl_probe.json').open('a') as file:
                file.write(line + '\n')


def model_of(device: torch.device) -> nn.Module:
    """Convolutions with SyncBN (BN on the CPU)."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3)]
    model = nn.Sequential(*layers).to(device)
    return nn.SyncBatchNorm.convert_sync_batchnorm(model) if CUDA else model


def average(parameters: list[nn.Parameter]) -> None:
    """Replace gradients by their mean over the processes: one flat buffer, one all-reduce."""
    grads = [parameter.grad for parameter in parameters]
    flat = torch.cat([grad.reshape(-1) for grad in grads]) / dist.get_world_size()
    dist.all_reduce(flat)
    for grad, part in zip(grads, flat.split([grad.numel() for grad in grads])):
        grad.copy_(part.view_as(grad))


def losses(device: torch.device, how: str, steps: int = 20) -> list[float]:
    """Train on fixed images, each process on its half: ``'ddp'``, ``'plain'``: own all-reduce, ``'captured'``."""
    model = model_of(device)
    parameters = list(model.parameters())
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(8, 3, SIZE, SIZE, generator=generator)
    images = images[dist.get_rank() :: dist.get_world_size()].to(device)
    network = nn.parallel.DistributedDataParallel(model) if how == 'ddp' else model
    value = torch.zeros((), device=device)

    def step() -> None:
        for parameter in parameters:
            parameter.grad = None
        loss = network(images).square().mean()
        loss.backward()
        if how != 'ddp':
            average(parameters)
        with torch.no_grad():
            for parameter in parameters:
                parameter.sub_(parameter.grad, alpha=0.1)
        value.copy_(loss.detach() / dist.get_world_size())
        dist.all_reduce(value)

    result, graph = [], None
    side = torch.cuda.Stream() if CUDA else None
    for index in range(steps):
        if how == 'captured' and index == 3:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=side, capture_error_mode='thread_local'):
                step()
        if graph is not None:
            graph.replay()
        elif how == 'captured':
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                step()
            torch.cuda.current_stream().wait_stream(side)
        else:
            step()
        result.append(value.item())
    if graph is not None:
        graph.reset()  # a communicator waits for the graphs that use it
    return result


def main() -> None:
    """All checks."""
    rank = int(os.environ['LOCAL_RANK'])
    device = torch.device('cuda', rank) if CUDA else torch.device('cpu')
    if CUDA:
        torch.cuda.set_device(device)
    dist.init_process_group('nccl' if CUDA else 'gloo')
    report(
        'start', torch=torch.__version__, world=dist.get_world_size(), nccl=CUDA and torch.cuda.nccl.version()
    )
    start = time.perf_counter()
    control = dist.new_group(backend='gloo')
    number = torch.tensor(rank)
    dist.all_reduce(number, group=control)
    count = 200
    again = time.perf_counter()
    for _ in range(count):
        dist.all_reduce(number.fill_(rank), group=control)
    report('gloo group', milliseconds=(time.perf_counter() - again) / count * 1e3, seconds=again - start)
    expected = None
    for how in ('ddp', 'plain', 'captured') if CUDA else ('ddp', 'plain'):
        try:
            values = losses(device, how)
            expected = expected or values
            largest = max(abs(a - b) / abs(b) for a, b in zip(values, expected))
            report(how, first=values[0], last=values[-1], largest_relative_difference=largest)
        except Exception:
            report(how, error=traceback.format_exc(limit=3))
            raise
    if CUDA:
        flat = torch.zeros(50_000_000, device=device)
        for _ in range(3):
            dist.all_reduce(flat)
        torch.cuda.synchronize()
        again = time.perf_counter()
        for _ in range(10):
            dist.all_reduce(flat)
        torch.cuda.synchronize()
        report('all-reduce of 200 MB', milliseconds=(time.perf_counter() - again) * 100)
    start = time.perf_counter()
    dist.destroy_process_group()
    print(f'rank {rank}: process group destroyed in {time.perf_counter() - start:.2f} s', flush=True)


if __name__ == '__main__':
    main()
