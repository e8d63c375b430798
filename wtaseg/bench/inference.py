"""Time the prediction of images by the model of a config, alone or beside another package, in alternating rounds."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope

import mmseg.models  # noqa: F401
from mmseg.models.utils.folding import prepare_for_inference
from mmseg.registry import MODELS
from wtaseg.bench.peer import time_test
from wtaseg.bench.peers import ask_peer
from wtaseg.bench.step import load_experiment


@dataclass(frozen=True)
class InferenceTimes:
    """The measured times.

    Attributes:
        config: path of the config.
        device: name of the GPU, or ``'cpu'``.
        threads: of PyTorch on the CPU.
        shape: height and width of the images.
        batch: images at once.
        window, stride: of sliding windows; None: whole images.
        folded: whether batch norms were folded into convolutions.
        image_ms: median time of an image.
        other_ms: that of the other package; None: not measured.
        times_faster: their ratio.
    """

    config: str
    device: str
    threads: int
    shape: tuple[int, int]
    batch: int
    window: int | None
    stride: int | None
    folded: bool
    image_ms: float
    other_ms: float | None = None
    times_faster: float | None = None


def measure(
    config: str | Path,
    shape: tuple[int, int] = (512, 512),
    batch: int = 1,
    window: int | None = None,
    stride: int | None = None,
    images: int = 10,
    warmup: int = 2,
    rounds: int = 3,
    against: str | None = None,
) -> InferenceTimes:
    """Time the test step of an experiment's model with random weights: preprocessing to prediction at full size.

    Args:
        config: path of the config.
        shape: height and width of the random images.
        batch: images at once.
        window: side of sliding windows; None: as the config says.
        stride: of the windows; None: two thirds of the window.
        images: timed batches in each round.
        warmup: batches before, in each round.
        rounds: both packages take turns.
        against: command of an interpreter that has mmsegmentation.

    Raises:
        RuntimeError: the other interpreter failed.
        ValueError: the config is not that of an experiment.
    """
    init_default_scope('mmseg')
    cfg, device = load_experiment(config, cross_entropy=against is not None), get_device()
    torch.backends.cudnn.benchmark = bool(cfg.get('env_cfg', {}).get('cudnn_benchmark', False))
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(device).eval()
    folded = prepare_for_inference(model)
    stride = stride or (window and window * 2 // 3)
    task = dict(kind='test', batch=batch, shape=list(shape), window=window, stride=stride)
    task |= dict(images=images, warmup=warmup)
    here: list[float] = []
    other: list[float] = []
    for _ in range(rounds):
        here += time_test(task, cfg, model, device)['image_ms']
        other += ask_peer(against, cfg, **task)['image_ms'] if against is not None else []
    return InferenceTimes(
        config=str(config),
        device=torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
        threads=torch.get_num_threads(),
        shape=tuple(shape),
        batch=batch,
        window=window,
        stride=stride,
        folded=folded,
        image_ms=median(here),
        other_ms=median(other) if other else None,
        times_faster=median(other) / median(here) if other else None,
    )
