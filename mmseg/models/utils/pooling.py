"""Pooling to a grid of fixed size, and a check for BatchNorm after it."""

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def _bins(length: int, cells: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Membership (length, cells) of positions in cells, as 0 and 1, and positions per cell (cells,), in float32."""
    cell = torch.arange(cells, device=device)
    start = cell * length // cells
    stop = ((cell + 1) * length + cells - 1) // cells
    position = torch.arange(length, device=device).unsqueeze(1)
    inside = (position >= start) & (position < stop)
    return inside.to(torch.float32), (stop - start).to(torch.float32)


def adaptive_avg_pool(x: Tensor, size: int | tuple[int, int]) -> Tensor:
    """``F.adaptive_avg_pool2d`` as a matrix product, (N, C, H, W) to (N, C, size, size).

    Unlike torch's kernel it has a deterministic gradient on CUDA and can be exported with H and W left open.
    """
    rows, columns = (size, size) if isinstance(size, int) else size
    if rows == columns == 1:
        return x.mean(dim=(2, 3), keepdim=True)
    in_row, row_count = _bins(x.shape[2], rows, x.device)
    in_column, column_count = _bins(x.shape[3], columns, x.device)
    inside = (in_row[:, None, :, None] * in_column[:, None, :]).flatten(2).flatten(0, 1)  # (H * W, cells)
    count = (row_count.unsqueeze(1) * column_count).flatten()
    # Powers of two near 1 / count are exact in half precision and keep its sums in range.
    scale = torch.exp2(-count.log2().floor())
    weight = (inside * scale).to(x.dtype).expand(x.shape[0], -1, -1)
    mean = torch.bmm(x.flatten(2), weight) / (count * scale)
    return mean.to(x.dtype).unflatten(2, (rows, columns))


class AdaptiveAvgPool2d(nn.Module):
    """:func:`adaptive_avg_pool` as a module."""

    def __init__(self, output_size: int | tuple[int, int]) -> None:
        super().__init__()
        self.output_size = output_size if isinstance(output_size, int) else tuple(output_size)

    def forward(self, x: Tensor) -> Tensor:
        return adaptive_avg_pool(x, self.output_size)

    def extra_repr(self) -> str:
        return f'output_size={self.output_size}'


def check_pooled_batch(x: Tensor, module: ConvModule | nn.Module, name: str) -> Tensor:
    """Return ``x`` of shape (N, C, H, W) unchanged; raise if a BatchNorm would train on one value per channel.

    Call it between global pooling and the ``module`` that normalises, a norm or a ``ConvModule`` with one. With ``SyncBatchNorm`` and several
    processes the values of all are counted, and nothing is raised.

    Raises:
        ValueError: N = H = W = 1 before a BatchNorm that computes batch statistics; names ``name``.
    """
    norm = module.norm if isinstance(module, ConvModule) else module
    if not isinstance(norm, _BatchNorm) or not norm.training or x.shape[0] * x.shape[2] * x.shape[3] > 1:
        return x
    if isinstance(norm, nn.SyncBatchNorm):
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        if distributed and torch.distributed.get_world_size() > 1:
            return x
    raise ValueError(
        f'{name}: after global pooling, a batch of one image has one value per channel, of which BatchNorm can '
        'compute no variance. Set train_dataloader.batch_size to 2 or more with drop_last=True (the last batch '
        "of an epoch may be shorter), or norm_cfg=dict(type='GN', num_groups=32), or train on several GPUs with SyncBN."
    )
