"""Log the losses: read from the GPU rarely, checked for NaN, saved as plain values."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce
from mmengine.hooks import LoggerHook
from mmengine.hooks import RuntimeInfoHook as _RuntimeInfoHook
from mmengine.logging import HistoryBuffer

from mmseg.registry import HOOKS

_MAX_FILES_NAMED = 16


class NonFiniteLossError(FloatingPointError):
    """The loss of a training step was NaN or infinite."""


def _files_of(data_batch: Any) -> list[str]:
    """Paths of a batch's images; ? where a sample has none."""
    samples = data_batch.get('data_samples', ()) if isinstance(data_batch, dict) else ()
    return [str(getattr(sample, 'img_path', '?')) for sample in samples]


def _plain(value: Any) -> Any:
    """``value`` without numpy objects, so that any ``torch.load(weights_only=True)`` takes it."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return type(value)((key, _plain(item)) for key, item in value.items())
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return value


@HOOKS.register_module()
class RuntimeInfoHook(_RuntimeInfoHook):
    """mmengine's hook of this name (it is always among the default hooks), with four differences.

    Losses stay on the GPU for up to ``interval`` steps, until the logger needs them: reading one makes the host
    wait for the device, and mmengine reads each in every step. On the CPU they are read at once.

    The first loss that is not finite stops the run before anything is validated or saved, with an error that
    names the iteration, the loss and the files of the batch. The values are those read for the log.

    Of several processes the log has the means of their losses, and all stop at one that is not finite.

    Log histories are saved as tensors, so that a checkpoint holds no pickled object.

    Args:
        interval: steps between two readings; by default the shortest interval of the logger hooks.
        stop_on_nonfinite: False continues with a loss that is NaN or infinite.
    """

    def __init__(self, interval: int | None = None, stop_on_nonfinite: bool = True) -> None:
        if interval is not None and interval < 1:
            raise ValueError(
                f'RuntimeInfoHook: interval={interval}; expected a number of steps of at least 1'
            )
        self.interval = interval
        self.stop_on_nonfinite = stop_on_nonfinite
        self._pending: list[tuple[int, tuple[str, ...], torch.Tensor, list[str]]] = []

    def before_train(self, runner) -> None:
        """As mmengine's; also determine how often losses are read."""
        super().before_train(runner)
        self._pending.clear()
        intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self._interval = self.interval or (math.gcd(*intervals) if intervals else 1)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, torch.Tensor] | None = None
    ) -> None:
        """Store the losses of a step, and pass the stored ones to the log when it is due."""
        if not outputs:
            return
        values = [torch.as_tensor(value).detach().float().reshape(()) for value in outputs.values()]
        # a copy: it keeps no autograd graph alive, and a replayed CUDA graph can't overwrite it
        values = torch.stack(values)
        all_reduce(values, 'mean')  # of several processes; each step, since they read them at different times
        self._pending.append((runner.iter, tuple(outputs), values, _files_of(data_batch)))
        if (
            self._on_cpu(self._pending[-1][2])
            or self.every_n_inner_iters(batch_idx, self._interval)
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
            or self.is_last_train_iter(runner)
        ):
            self._flush(runner)

    def before_val(self, runner) -> None:
        """Check the losses, so that a model that has diverged is not validated."""
        self._flush(runner)
        super().before_val(runner)

    def after_train_epoch(self, runner) -> None:
        """Read the losses that are left."""
        self._flush(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Check the losses, so that a model that has diverged is not saved; make the checkpoint's values plain."""
        if self._pending:
            self._flush(runner)
            checkpoint['message_hub'] = runner.message_hub.state_dict()
        hub = checkpoint['message_hub']
        hub['log_scalars'] = {name: _dump_history(history) for name, history in hub['log_scalars'].items()}
        checkpoint['message_hub'] = _plain(hub)
        checkpoint['meta'] = _plain(checkpoint['meta'])

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Convert saved log histories to mmengine's objects."""
        scalars = checkpoint.get('message_hub', {})
        scalars = scalars.get('log_scalars', {}) if isinstance(scalars, dict) else {}
        for name, history in scalars.items():
            if isinstance(history, dict):
                scalars[name] = HistoryBuffer(
                    history['values'].numpy(force=True), history['counts'].numpy(force=True)
                )

    @staticmethod
    def _on_cpu(values: torch.Tensor) -> bool:
        return values.device.type == 'cpu'  # reading them waits for nothing

    def _flush(self, runner) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        values = torch.cat([step[2] for step in pending]).tolist()
        for iteration, names, _, files in pending:
            step, values = dict(zip(names, values)), values[len(names) :]
            if self.stop_on_nonfinite:
                _check(iteration, step, files)
            for name, value in step.items():
                runner.message_hub.update_scalar(f'train/{name}', value)


def _dump_history(history: HistoryBuffer) -> dict[str, torch.Tensor]:
    values, counts = history.data
    return dict(values=torch.as_tensor(values), counts=torch.as_tensor(counts))


def _check(iteration: int, step: dict[str, float], files: Sequence[str]) -> None:
    bad = {name: value for name, value in step.items() if 'loss' in name and not math.isfinite(value)}
    if not bad:
        return
    terms = {name: value for name, value in bad.items() if name != 'loss'} or bad  # 'loss' is the sum
    listed = ''.join(f'\n  {file}' for file in files[:_MAX_FILES_NAMED])
    if len(files) > _MAX_FILES_NAMED:
        listed += f'\n  … and {len(files) - _MAX_FILES_NAMED} more'
    raise NonFiniteLossError(
        f'iteration {iteration + 1}: {", ".join(f"{name} = {value}" for name, value in terms.items())}; '
        'expected finite losses. Lower the learning rate, lengthen the warm-up, clip gradients '
        '(optim_wrapper.clip_grad=dict(max_norm=1.0)), or look at the files of this batch:'
        f'{listed or " (the samples do not name them)"}'
    )
