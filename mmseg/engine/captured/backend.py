"""How functions over static tensors are captured and replayed."""

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import torch


class GraphBackend(Protocol):
    """Runs a function over static tensors: as it is, or captured once and replayed."""

    def warm_up(self, function: Callable[[], None], strict: bool) -> None:
        """Run ``function`` as it is.

        Args:
            function: reads and writes static tensors.
            strict: raise where it would make the host wait, which can't be captured.

        Raises:
            RuntimeError: it would, with ``strict``.
        """

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        """A function that does again what ``function`` does to tensors; capturing itself computes nothing."""

    def recover(self) -> None:
        """Make the device usable again after a failed capture."""


class CudaBackend:
    """CUDA graphs of one device, which share a memory pool.

    Warm-up and capture use one side stream, since autograd remembers the stream that it first used.

    Args:
        device: of all tensors.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, function: Callable[[], None], strict: bool) -> None:
        """See :meth:`GraphBackend.warm_up`."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        before = torch.cuda.get_sync_debug_mode()
        try:
            with torch.cuda.stream(self.stream):
                if strict:
                    torch.cuda.set_sync_debug_mode('error')
                function()
        finally:
            torch.cuda.set_sync_debug_mode(before)
            current.wait_stream(self.stream)

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        """See :meth:`GraphBackend.capture`."""
        graph = torch.cuda.CUDAGraph()
        # thread_local: the thread that pins batches may allocate meanwhile
        with torch.cuda.graph(graph, self.pool, self.stream, capture_error_mode='thread_local'):
            function()
        return graph.replay

    def recover(self) -> None:
        """See :meth:`GraphBackend.recover`."""
        with suppress(RuntimeError):
            torch.cuda.synchronize(self.device)
        # a capture that failed leaves the generator's state in capture mode: random numbers would be refused
        with suppress(RuntimeError):
            index = torch.cuda.current_device() if self.device.index is None else self.device.index
            generator = torch.cuda.default_generators[index]
            generator.graphsafe_set_state(torch.Generator(self.device).manual_seed(generator.initial_seed()))
