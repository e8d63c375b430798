"""The processes of one run: one, or as many as ``accelerate launch`` or ``torchrun`` start.

They share the output folder and nothing on the devices. All they have to tell each other are a few numbers, so they
meet in the launcher's key-value store and need no process group.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

PATIENCE = timedelta(days=7)
"""How long a process waits for the others, whose pictures may take longer than its own."""


class Processes:
    """This process among ``world``; ``local_rank`` counts on this machine. Calls must match in all processes."""

    def __init__(self, rank: int = 0, world: int = 1, local_rank: int = 0, store: Any = None) -> None:
        self.rank, self.world, self.local_rank, self.store = rank, world, local_rank, store
        self.meetings = 0

    @property
    def main(self) -> bool:
        """Whether this process does what is done once."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait for all processes."""
        if self.world > 1:
            self.meetings += 1
            gate = f'gate {self.meetings}'
            if self.store.add(f'{gate} reached', 1) == self.world:
                self.store.set(gate, 'open')
            self.store.wait([gate], PATIENCE)

    def share(self, value: Any) -> Any:
        """The main process's ``value``, of plain JSON types, in all processes."""
        if self.world == 1:
            return value
        self.meetings += 1
        name = f'value {self.meetings}'
        if self.main:
            self.store.set(name, json.dumps(value))
            return value
        self.store.wait([name], PATIENCE)
        return json.loads(self.store.get(name))

    def leave(self) -> None:
        """Let the others go first: the main process may be the store's host."""
        if self.world > 1:
            if self.store.add('left', 1) == self.world:
                self.store.set('empty', '')
            if self.main:
                self.store.wait(['empty'], PATIENCE)

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
    """The processes that the launcher's environment describes."""
    world = int(os.environ.get('WORLD_SIZE', 1))
    if world == 1:
        yield Processes()
        return
    store, rank, world = next(dist.rendezvous('env://', timeout=PATIENCE))
    group = Processes(rank, world, int(os.environ.get('LOCAL_RANK', 0)), dist.PrefixStore('augment', store))
    yield group
    group.leave()
