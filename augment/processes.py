"""The processes of one run: one, or as many as ``accelerate launch`` or ``torchrun`` start.

They share the output folder and nothing on the devices, and exchange only a few numbers. So accelerate runs them over
gloo on the CPU, whatever device each works on.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch

PATIENCE = timedelta(days=7)
"""How long a process waits for the others, whose images may take longer than its own."""


@dataclass(frozen=True)
class Processes:
    """This process among ``world``; ``local_rank`` counts on this machine. Calls must match in all processes."""

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
            from accelerate.utils import gather_object

            gather_object([self.rank])  # a barrier that touches no GPU: it ends when all have called it

    def share(self, value: Any) -> Any:
        """The main process's ``value`` in all processes."""
        if self.world == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def device(self, wanted: str) -> str:
        """The device of this process; ``ValueError`` for one that does not exist."""
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
        # with an index, which torch.cuda.set_device requires since PyTorch 2.11
        return f'cuda:{device.index or 0}' if device.type == 'cuda' else wanted


@contextmanager
def join_processes() -> Iterator[Processes]:
    """The processes that the launcher's environment describes."""
    if int(os.environ.get('WORLD_SIZE', 1)) == 1:
        yield Processes()
        return
    from accelerate import PartialState

    state = PartialState(cpu=True, timeout=PATIENCE)
    group = Processes(state.process_index, state.num_processes, state.local_process_index)
    yield group
    group.wait()  # the main process may be the others' rendezvous
    state.destroy_process_group()
