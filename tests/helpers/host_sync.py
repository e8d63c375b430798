"""Find operations for which a GPU would make the host wait, on a machine without a GPU.

Tensors on torch's ``meta`` device have no values: what needs them, ``.item()``, ``nonzero`` or a selection by a mask,
fails. What works on them but waits on a GPU, :class:`HostSync` refuses.
"""

from collections.abc import Iterator

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_BY_INDEX = {'aten::index', 'aten::index_put', 'aten::index_put_'}
# what mmengine and Python call to read a value
_VALUE = {'aten::_local_scalar_dense', 'aten::item', 'aten::is_nonzero', 'aten::equal'}


class HostSyncError(AssertionError):
    """An operation would make the host wait for the GPU."""


class _Factories(TorchFunctionMode):
    """Refuses ``torch.tensor`` of Python values on the device, which copies them there."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Check a call and run it."""
        kwargs = kwargs or {}
        if (
            func in (torch.tensor, torch.as_tensor)
            and torch.device(kwargs.get('device') or 'cpu').type == 'meta'
        ):
            raise HostSyncError(f'{func.__name__} of a {type(args[0]).__name__}')
        return func(*args, **kwargs)


class HostSync(TorchDispatchMode):
    """Raises :class:`HostSyncError` for operations on ``meta`` tensors that a GPU would wait for.

    These are values that are read, boolean masks as indices, and data that comes from the host or goes there.
    """

    def __enter__(self):
        self._factories = _Factories()
        self._factories.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._factories.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Check an operation and run it."""
        kwargs = kwargs or {}
        name = func._schema.name
        tensors = list(_tensors([args, list(kwargs.values())]))
        devices = {tensor.device.type for tensor in tensors if tensor.dim() or name == 'aten::_to_copy'}
        if kwargs.get('device') is not None:
            devices.add(torch.device(kwargs['device']).type)
        on_device = any(tensor.device.type == 'meta' for tensor in tensors)
        masks = name in _BY_INDEX and any(tensor.dtype == torch.bool for tensor in _tensors(args[1]))
        if name in _VALUE or (on_device and masks) or len(devices) > 1:
            raise HostSyncError(
                f'{name} of {[tuple(tensor.shape) for tensor in tensors]} on {sorted(devices)}'
            )
        return func(*args, **kwargs)


def _tensors(node: object) -> Iterator[torch.Tensor]:
    if isinstance(node, torch.Tensor):
        yield node
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from _tensors(item)
