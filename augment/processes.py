"""The processes of one run: one, or as many as ``accelerate launch`` or ``torchrun`` start.

They share the output folder and nothing on the devices, so the group speaks gloo, whatever the devices are.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

PATIENCE = timedelta(days=7)
"""How long a process waits for the others, whose pictures may take longer than its own."""


@dataclass(frozen=True)
class Processes:
    """This process among ``world``; ``local_rank`` counts on this machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def main(self) -> bool:
        """Whether this process does what is done once."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait for all processes."""
        if self.world > 1:
            dist.barrier()

    def share(self, value: Any) -> Any:
        """The main process's ``value``, in all processes."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def total(self, counts: list[int]) -> list[int]:
        """Sums of ``counts`` over all processes."""
        summed = torch.tensor(counts, dtype=torch.int64)
        if self.world > 1:
            dist.all_reduce(summed)
        return summed.tolist()

    def device(self, wanted: str) -> str:
        """The device of this process; ``ValueError`` for one that is not there."""
        cuda = torch.cuda.is_available()
        if wanted == 'auto':
            wanted = 'cuda' if cuda else 'cpu'
        if wanted == 'cuda' and self.world > 1:
            wanted = f'cuda:{self.local_rank}'
        try:
            device = torch.device(wanted)
        except RuntimeError as error:
            raise ValueError(
                f'device: {wanted!r} is no device; expected auto, cpu, cuda or cuda:N'
            ) from error
        if device.type == 'cuda' and (not cuda or (device.index or 0) >= torch.cuda.device_count()):
            count = torch.cuda.device_count() if cuda else 0
            raise ValueError(
                f'device: {wanted} asked for, {count} CUDA devices found; take --device cpu or fewer processes'
            )
        return wanted


@contextmanager
def join_processes() -> Iterator[Processes]:
    """The group that the launcher's environment describes, left at the end."""
    world = int(os.environ.get('WORLD_SIZE', 1))
    if world == 1:
        yield Processes()
        return
    own = not dist.is_initialized()
    if own:
        dist.init_process_group('gloo', timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), int(os.environ.get('LOCAL_RANK', 0)))
    finally:
        if own:
            dist.destroy_process_group()
