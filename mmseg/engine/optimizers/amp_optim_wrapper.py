"""Mixed precision on the GPU and, in bfloat16, on the CPU."""

import torch
from mmengine.device import is_cuda_available, is_mlu_available, is_musa_available, is_npu_available
from mmengine.optim import AmpOptimWrapper as _AmpOptimWrapper
from mmengine.optim import OptimWrapper

from mmseg.registry import OPTIM_WRAPPERS


def _has_accelerator() -> bool:
    return is_cuda_available() or is_npu_available() or is_mlu_available() or is_musa_available()


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(_AmpOptimWrapper):
    """mmengine's ``AmpOptimWrapper``; without an accelerator it uses bfloat16 on the CPU.

    bfloat16 has the range of float32, so losses are not scaled there.

    Args:
        loss_scale: as mmengine's: ``'dynamic'``, a float, or arguments of ``GradScaler``. GPU only.
        dtype: dtype of autocast. On the CPU None or bfloat16.
        use_fsdp: as mmengine's.
        **kwargs: arguments of ``OptimWrapper``.

    Raises:
        ValueError: a dtype other than bfloat16 on the CPU.
    """

    def __init__(
        self,
        loss_scale: str | float | dict = 'dynamic',
        dtype: str | torch.dtype | None = None,
        use_fsdp: bool = False,
        **kwargs,
    ) -> None:
        if _has_accelerator():
            super().__init__(loss_scale=loss_scale, dtype=dtype, use_fsdp=use_fsdp, **kwargs)
            return
        if dtype not in (None, 'bfloat16', torch.bfloat16):
            raise ValueError(
                f'optim_wrapper.dtype={dtype!r} on the CPU; expected bfloat16. Leave it out or run on a GPU'
            )
        OptimWrapper.__init__(self, **kwargs)
        self._scale_update_param = None
        self.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)
        self.cast_dtype = torch.bfloat16

    def load_state_dict(self, state_dict: dict) -> None:
        """Load optimizer and loss scaler; if the checkpoint is of a CPU run and has no scale, the initial one is used."""
        if not state_dict.get('loss_scaler', True):
            state_dict = {key: value for key, value in state_dict.items() if key != 'loss_scaler'}
        super().load_state_dict(state_dict)
