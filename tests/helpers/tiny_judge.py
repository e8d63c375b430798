"""A tiny segmenter as ONNX, for ``--judge``."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

MEAN, STD = [110.0, 100.0, 90.0], [50.0, 60.0, 70.0]


class Reds(nn.Module):
    """Class 1 where red, normalised, exceeds ``limit``, class 2 where blue does, else 0; RGB ``(N, 3, H, W)``."""

    def __init__(self, limit: float = 1.0) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N, 3, H, W)``."""
        normal = torch.full_like(images[:, :1], self.limit)
        return torch.cat([normal, images[:, :1], images[:, 2:]], 1)


def export_judge(path: Path, limit: float = 1.0) -> Path:
    """Write ``Reds`` as the export of this project writes segmenters, for images of any size from 64 to 4096."""
    from mmseg.apis.export_onnx import trace, write

    program, sides = trace(Reds(limit).eval(), (96, 128))
    facts = {
        'channel_order': 'RGB',
        'mean': MEAN,
        'std': STD,
        'classes': ['defect', 'attached', 'broken'],
        'palette': None,
        'sides': [sides.low, sides.high],
        'size': [96, 128],
    }
    write(program, path, {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()})
    return path
