"""Type aliases of signatures."""

from collections.abc import Sequence

import torch
from mmengine.config import ConfigDict

from mmseg.structures import SegDataSample

ConfigType = ConfigDict | dict
OptConfigType = ConfigType | None
# one config or several
MultiConfig = ConfigType | Sequence[ConfigType]
OptMultiConfig = MultiConfig | None

SampleList = Sequence[SegDataSample]
OptSampleList = SampleList | None

TensorDict = dict[str, torch.Tensor]
TensorList = Sequence[torch.Tensor]
# what forward() returns: losses, predicted samples, feature maps or logits
ForwardResults = TensorDict | list[SegDataSample] | tuple[torch.Tensor, ...] | torch.Tensor
