"""What the processes of a training exchange beside mmengine's collectives."""

import logging
from collections.abc import Sequence

import torch
import torch.distributed as dist
from mmengine.dist import is_distributed
from torch import Tensor, nn


def host_group(logger: logging.Logger, without: str) -> dist.ProcessGroup | None:
    """A group on the CPU of all processes, so that asking the others does not wait for the GPU; None: there can be none.

    Args:
        logger: gets a warning where there is none.
        without: what the training lacks then, the beginning of the warning.
    """
    try:
        return dist.new_group(backend='gloo')
    except RuntimeError as error:
        logger.warning(f'{without}: no gloo group ({" ".join(str(error).split())})')
        return None


class Exchange:
    """Means of gradients over the processes, and decisions that all of them take alike.

    Args:
        group: of all processes, on the CPU, see :func:`host_group`.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self._group = group

    def agree(self, reason: str | None) -> str | None:
        """A reason to stop something, if any process has one; every process must call it, and the host waits for all.

        Returns:
            The process's own reason, the first of the others' where it has none, or None.
        """
        lowest = torch.tensor(dist.get_world_size() if reason is None else dist.get_rank())
        dist.all_reduce(lowest, dist.ReduceOp.MIN, group=self._group)
        if int(lowest) == dist.get_world_size():
            return None
        reasons: list[str | None] = [None] * dist.get_world_size()
        dist.all_gather_object(reasons, reason, group=self._group)
        return reason or f'rank {int(lowest)}: {reasons[int(lowest)]}'

    @staticmethod
    @torch.no_grad()
    def average(tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over the processes, in one all-reduce a dtype; can be captured in a CUDA graph.

        Args:
            tensors: of the same shapes, dtypes and strides in each process.
        """
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            group = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = group[0].new_empty(sum(tensor.numel() for tensor in group))
            # in the memory order of each tensor, so that copies are those of contiguous memory
            parts = [
                part.as_strided(tensor.shape, torch.empty_like(tensor, device='meta').stride())
                for part, tensor in zip(flat.split([tensor.numel() for tensor in group]), group)
            ]
            torch._foreach_copy_(parts, group)
            flat.div_(dist.get_world_size())
            dist.all_reduce(flat)
            torch._foreach_copy_(group, parts)


def several_processes() -> bool:
    """Whether this process is one of several."""
    return is_distributed() and dist.get_world_size() > 1


def exchange_of(logger: logging.Logger) -> Exchange | None:
    """The exchange of several processes; None, with a warning, where there is no group on the CPU."""
    group = host_group(logger, 'the training step is not captured in a CUDA graph')
    return None if group is None else Exchange(group)


@torch.no_grad()
def share_buffers(model: nn.Module) -> None:
    """Give every process the buffers of the first one, such as the statistics of batch norms; with one process nothing."""
    if several_processes():
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)
