"""CUDA graph runner: a function over static buffers, captured once and replayed.

At these sizes the UNet's thousands of kernel launches cost more time than its arithmetic. On the CPU the same
function runs as it is.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from augment.diffusion.attention import AttentionProcessors
from augment.diffusion.model import EditModel

WARMUP_RUNS = 2  # before capture: lazy initialisation, autotuning and compilation must not be captured


def raise_out_of_memory(error: BaseException) -> None:
    """Raise the ``torch.OutOfMemoryError`` behind ``error``, if there is one.

    Memory that runs out during capture breaks the capture too, and ending a broken capture raises another error.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, torch.OutOfMemoryError):
            raise torch.OutOfMemoryError(str(cause)) from error
        cause = cause.__context__


class GraphRunner:
    """Calls ``run()``; on CUDA captures it as a graph at first use and replays the graph from then on.

    Args:
        model: Says whether graphs are used, and holds the memory pool and stream that they share.
        run: Reads and writes static tensors only.
        state: The tensors that ``run`` changes in place: restored after warming up and capturing.
        attention: The attention processors that ``run`` is built for. A graph contains what they did at capture,
            so every call makes sure that they are the installed ones.
    """

    def __init__(
        self, model: EditModel, run: Callable[[], None], state: list[Tensor], attention: AttentionProcessors
    ):
        self.model, self.run, self.state, self.attention = model, run, state, attention
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Run once.

        Raises:
            RuntimeError: Other attention processors are installed than those this runner is built for.
        """
        self.attention.require_installed()
        if not self.model.use_graphs:
            self.run()
            return
        if self.graph is None:
            self._capture()
        self.graph.replay()

    def _capture(self) -> None:
        before = [tensor.clone() for tensor in self.state]
        with torch.cuda.device(self.model.device):  # graphs are captured on the current device
            stream = self.model.graph_stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARMUP_RUNS):
                    self.run()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, pool=self.model.graph_pool(), stream=stream):
                    self.run()
            except RuntimeError as error:
                raise_out_of_memory(error)
                raise
        for tensor, value in zip(self.state, before):
            tensor.copy_(value)
        self.graph = graph
