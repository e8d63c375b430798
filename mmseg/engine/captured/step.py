"""A training step that is captured after a few steps and replayed from then on."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmseg.structures.stacked_batch import SIDES

from ..exchange import Exchange
from .backend import GraphBackend
from .guard import HostState, ModelState
from .optimizer import CapturableOptimizer
from .together import NotCapturedError, capture_together, text_of

#: Ordinary steps before the capture: lazy initialisation, cudnn's search, checks.
WARM_UP_STEPS = 3


class TrainingStep:
    """Takes the place of ``model.train_step``: forward, losses, backward, clipping and optimizer as one graph.

    Preprocessing is part of it where the batches are stacked. The first :data:`WARM_UP_STEPS` steps run as they are, on the stream of the capture.
    Whatever can't be captured, or changes later, ends in ordinary steps with one line in the log that names the reason.

    With gradient accumulation there are two graphs, of the steps that update the weights and of the others.

    Of several processes each captures the exchange of the gradients, and of SyncBN's statistics, with its step. They
    fall back together, to ordinary steps of ``DistributedDataParallel``.

    Args:
        model: has ``loss_tensors``.
        wrapper: of the optimizer.
        backend: captures and replays.
        dtype: of autocast; None: none.
        channels_last: layout of the images.
        logger: gets the lines.
        exchange: between the processes; None: there is one.
        wrap: makes of the model what an ordinary step of several processes calls.

    Attributes:
        reason: why steps are not captured; None: they are.
        captured: whether the step has been captured by now.
    """

    def __init__(
        self,
        model: BaseModel,
        wrapper: OptimWrapper,
        backend: GraphBackend,
        dtype: torch.dtype | None = None,
        channels_last: bool = False,
        logger: logging.Logger | None = None,
        exchange: Exchange | None = None,
        wrap: Callable[[nn.Module], nn.Module] | None = None,
    ) -> None:
        self.model, self.wrapper, self.backend, self.dtype = model, wrapper, backend, dtype
        self._network, self._wrap, self._exchange = model, wrap, exchange
        self.logger = logger or logging.getLogger(__name__)
        self.reason: str | None = None
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._device = next(model.parameters()).device
        self._optimizer = CapturableOptimizer(wrapper.optimizer, self._device)
        self._accumulates = wrapper._accumulative_counts > 1
        self._share = torch.ones((), device=self._device)
        self._share_value = 1.0
        self._warm_steps = self._warm_updates = 0
        self._replays: dict[bool, Any] = {}
        # by whether the weights are updated: names of the logged values, and the values
        self._outputs: dict[bool, tuple[tuple[str, ...], Tensor]] = {}
        self._state = ModelState(model)
        self._expected: tuple | None = None
        self._static: dict[str, Tensor] = {}

    @property
    def captured(self) -> bool:
        """Whether the step has been captured by now, and is replayed."""
        return self._expected is not None and self.reason is None

    def __call__(self, data: Any, optim_wrapper: OptimWrapper | None = None) -> Mapping[str, Tensor]:
        """One step on a batch of the data loader.

        Returns:
            Values for the log, scalars on the device: the loss, its terms, accuracies and, where gradients are clipped,
            their norm.
        """
        if self.reason is None:
            tensors, reason = self._prepare(data)
            if self._exchange is not None:
                reason = self._exchange.agree(reason)
            if reason is None:
                try:
                    return self._step(tensors)
                except Exception as error:
                    if self._exchange is not None and not isinstance(error, NotCapturedError):
                        raise  # the others are in the middle of the same step
                    # one of the model itself is raised again by the ordinary step below
                    reason = text_of(error)
                    self._give_up()
                    self.backend.recover()
            self._fall_back(reason)
        return self._eager(data)

    def release(self) -> None:
        """Free the graphs; a communicator of several processes can not be closed before."""
        self._replays.clear()
        self._outputs.clear()

    def _prepare(self, data: Any) -> tuple[Mapping[str, Tensor] | None, str | None]:
        """The tensors of a batch, and why they do not fit the captured step; None: they do."""
        try:
            tensors = self._tensors_of(data)
            return tensors, self._mismatch(tensors)
        except Exception as error:  # raised again by the ordinary step
            return None, text_of(error)

    def _tensors_of(self, data: Any) -> dict[str, Tensor] | None:
        """The tensors of a batch that the step begins with; None: it has no labels of one size.

        Of a stacked batch (:class:`mmseg.structures.stacked_batch.StackedCollate`) they are 8-bit, and preprocessing is
        part of the step.
        """
        preprocessor = self.model.data_preprocessor
        raw = preprocessor.raw_tensors(data) if hasattr(preprocessor, 'raw_tensors') else None
        if raw is not None:
            return raw
        batch = preprocessor(data, True)
        tensors = {name: batch.get(name) for name in ('inputs', 'gt')}
        return tensors if all(isinstance(value, Tensor) for value in tensors.values()) else None

    def _images_and_labels(self) -> tuple[Tensor, Tensor]:
        if SIDES in self._static:
            images, gt = self.model.data_preprocessor.finish(self._static)
        else:
            images, gt = self._static['inputs'], self._static['gt']
        return images.contiguous(memory_format=self._layout), gt

    def _step(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Warm-up, capture or replay.

        Raises:
            Exception: whatever the capture fails with.
        """
        self._load(tensors)
        updates = self.wrapper.should_sync()  # before the count is increased
        self._optimizer.update_rates()
        self._update_share()
        if self._is_warm():
            if updates not in self._replays:
                self._capture(updates)
            self._replays[updates]()
        else:
            self._warm_up(updates)
        self._count(updates)
        names, values = self._outputs[updates]
        return dict(zip(names, values.clone().unbind()))  # the next replay overwrites them

    def _is_warm(self) -> bool:
        return self._warm_steps >= WARM_UP_STEPS and self._warm_updates > 0

    def _warm_up(self, updates: bool) -> None:
        if not self._warm_steps:
            self._optimizer.prepare()
        host = HostState(self.model) if self._warm_steps == WARM_UP_STEPS - 1 else None
        # SyncBN waits for the counts of the others, unless it is captured
        strict = host is not None and self._exchange is None
        with self._optimizer.installed():
            self.backend.warm_up(lambda: self._run(updates), strict=strict)
        self._warm_steps += 1
        self._warm_updates += updates
        change = host.change() if host is not None else None
        if host is not None and self._exchange is not None:
            change = self._exchange.agree(change)
        if change is not None:
            self._give_up()
            self._fall_back(change)

    def _capture(self, updates: bool) -> None:
        if not self._accumulates:
            self.wrapper.optimizer.zero_grad(set_to_none=True)  # the graph has gradients of its own
        with self._optimizer.installed():
            self._replays[updates] = capture_together(
                lambda: self.backend.capture(lambda: self._run(updates)), self._exchange
            )
        if self._expected is None:
            self._expected = self._watched()
            self.logger.info(
                f'training step: captured in a CUDA graph, {str(self.dtype or torch.float32).removeprefix("torch.")}'
            )

    def _run(self, updates: bool) -> None:
        """The step on the static tensors; what is captured."""
        if not self._accumulates:
            self.wrapper.optimizer.zero_grad(set_to_none=True)
        images, gt = self._images_and_labels()
        with self._autocast():
            losses = self.model(images, None, mode='loss', gt=gt)
        loss, log_vars = self.model.parse_losses(losses)
        (loss * self._share if self._accumulates else loss).backward()
        values = {}
        if updates:
            if self._exchange is not None:
                self._exchange.average([p.grad for p in self.model.parameters() if p.grad is not None])
            values = self._clip()
            self.wrapper.optimizer.step()
            if self._accumulates:
                torch._foreach_zero_([p.grad for p in self.model.parameters() if p.grad is not None])
        values.update(log_vars)
        vector = torch.stack([value.detach().float().reshape(()) for value in values.values()])
        self._outputs[updates] = tuple(values), vector

    def _clip(self) -> dict[str, Tensor]:
        """Clip the gradients as the optimizer wrapper would, without reading their norm."""
        wrapper = self.wrapper
        if not wrapper.clip_grad_kwargs:
            return {}
        parameters = [p for group in wrapper.optimizer.param_groups for p in group['params']]
        parameters = [p for p in parameters if p.requires_grad and p.grad is not None]
        norm = wrapper.clip_func(parameters, **wrapper.clip_grad_kwargs) if parameters else None
        return {} if norm is None else {wrapper.grad_name: norm}

    def _autocast(self) -> AbstractContextManager:
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self._device.type, self.dtype)

    # ----------------------------------------------------------------------- around it

    def _load(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy a batch to the static tensors."""
        if not self._static:
            self._static = {name: value.detach().clone() for name, value in tensors.items()}
            return
        for name, value in tensors.items():
            self._static[name].copy_(value, non_blocking=True)

    def _update_share(self) -> None:
        """The factor of the loss in an accumulated gradient."""
        if self._accumulates:
            share = float(self.wrapper.scale_loss(1.0))
            if share != self._share_value:
                self._share.fill_(share)
                self._share_value = share

    def _count(self, updates: bool) -> None:
        """Count as the optimizer wrapper would."""
        self.wrapper._inner_count += 1
        if updates and hasattr(self.wrapper, '_global_step'):
            self.wrapper._global_step += 1

    def _watched(self) -> tuple:
        return self._state.read(), self._optimizer.hyperparameters()

    def _mismatch(self, tensors: Mapping[str, Tensor] | None) -> str | None:
        """Why the captured step does not fit a batch or the present state; None: it does."""
        if tensors is None:
            return 'a batch has no labels of one size'
        if self._static:
            if self._static.keys() != tensors.keys():
                return 'images of a batch differ in size'
            for name, value in tensors.items():
                if value.shape != self._static[name].shape:
                    before = tuple(self._static[name].shape)
                    return f'the shape of {name} changes from {before} to {tuple(value.shape)}'
        if self._expected is not None and self._expected != self._watched():
            return 'modes of modules, trained parameters or settings of the optimizer have changed'
        return None

    def _give_up(self) -> None:
        """Leave parameters and optimizer as an ordinary step expects them."""
        self._replays.clear()
        self._optimizer.release()
        if not self._accumulates:
            self.wrapper.optimizer.zero_grad(set_to_none=True)

    def _fall_back(self, reason: str) -> None:
        if self._replays:
            self._give_up()
        self.reason = reason
        self._static.clear()
        if self._wrap is not None:
            self._network = self._wrap(self.model)
        self.logger.warning(f'training step: not captured in a CUDA graph, runs eagerly: {reason}')

    def _eager(self, data: Any) -> Mapping[str, Tensor]:
        """An ordinary step, see ``BaseModel.train_step``."""
        batch = self.model.data_preprocessor(data, True)
        with self.wrapper.optim_context(self._network), self._autocast():
            losses = self._network._run_forward(batch, mode='loss')
        loss, log_vars = self.model.parse_losses(losses)
        self.wrapper.update_params(loss)
        return log_vars
