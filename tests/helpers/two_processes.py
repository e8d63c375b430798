"""One process of several: train configs one after the other, each with its losses and a validation in a JSON file.

``torchrun --nproc_per_node=2 tests/helpers/two_processes.py FOLDER CONFIG...``; without torchrun it is the only process.
A config with ``load_from`` is validated with those weights instead.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn import functional as F

from mmseg.engine import build_runner
from mmseg.engine.captured import TrainingStep
from mmseg.engine.captured.install import wrap_in_ddp
from mmseg.engine.exchange import exchange_of
from mmseg.utils.distributed_run import end_distributed_run, one_of_several


@MODELS.register_module()
class HalvesBN(nn.BatchNorm2d):
    """Batch norm of a batch as two processes compute it that do not share their statistics: even and odd images apart.

    The running statistics are those of the first process.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        first = super().forward(x[0::2])
        second = F.batch_norm(x[1::2], None, None, self.weight, self.bias, True, 0.0, self.eps)
        return torch.stack([first, second], 1).flatten(0, 1)


class Calls:
    """In the place of CUDA graphs on the CPU: a replay calls the function again; a capture can fail."""

    def __init__(self, fails: bool) -> None:
        self.fails = fails

    def warm_up(self, function: Callable[[], None], strict: bool) -> None:
        """Run it."""
        function()

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        """The function itself."""
        if self.fails:
            raise RuntimeError('not here')
        return function

    def recover(self) -> None:
        """There is no device."""


def install_calls(runner: Runner, fails: bool) -> None:
    """Give a runner on the CPU the step that GPUs capture, with :class:`Calls`."""
    runner.model = runner.model.module

    def install(target: str) -> None:
        exchange = exchange_of(runner.logger)
        runner.model.train_step = TrainingStep(
            runner.model,
            runner.optim_wrapper,
            Calls(fails),
            logger=runner.logger,
            exchange=exchange,
            wrap=wrap_in_ddp,
        )

    runner._maybe_compile = install


def run(cfg: Config) -> dict:
    """Train, then validate; or only validate."""
    start = time.perf_counter()
    runner = build_runner(cfg)
    result = {}
    if 'calls' in cfg:
        install_calls(runner, cfg.calls == 'fail' and dist.get_rank() == 1)
    if cfg.get('load_from'):
        metrics = runner.val()
    else:
        runner.train()
        step = runner.model.train_step
        captured = isinstance(step, TrainingStep)
        result['step'] = 'captured' if captured and step.captured else 'eager'
        result['reason'] = step.reason if captured else None
        result['wrapper'] = type(runner.model).__name__ if is_model_wrapper(runner.model) else None
        values, _ = runner.message_hub.get_scalar('train/loss').data
        result['losses'] = [float(value) for value in values]
        metrics = runner.val_loop.run()
    result['metrics'] = {name: value for name, value in metrics.items() if 'time' not in name}
    return result | dict(seconds=round(time.perf_counter() - start, 1))


def main(argv: list[str]) -> None:
    """Run every config."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    folder, *paths = map(Path, argv)
    with one_of_several():
        for path in paths:
            result = run(Config.fromfile(path))
            gc.collect()  # its workers end
            if not dist.is_initialized() or dist.get_rank() == 0:
                (folder / f'{path.stem}.json').write_text(json.dumps(result))
                text = {name: value for name, value in result.items() if name not in ('losses', 'metrics')}
                print(f'{path.stem}: {text}', flush=True)
    end_distributed_run()


if __name__ == '__main__':
    main(sys.argv[1:])
