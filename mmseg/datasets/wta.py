"""The dataset of turbine blades: normal surface, attached particles, broken edges."""

import warnings

from mmseg.registry import DATASETS

from .basesegdataset import BaseSegDataset


@DATASETS.register_module()
class WTADataset(BaseSegDataset):
    """Labels 0 (everything normal, named ``defect``), 1 (``attached``) and 2 (``broken``).

    Images have any usual ending (``img_suffix=None``). The ids are never shifted. ``reduce_zero_label`` is accepted since configs pass it, but has no effect; True
    gives a warning.
    """

    METAINFO = dict(
        classes=('defect', 'attached', 'broken'),
        palette=[[0, 0, 0], [255, 0, 0], [0, 255, 0]],
    )

    def __init__(
        self,
        img_suffix: str | None = None,
        seg_map_suffix='.png',
        reduce_zero_label: bool | None = None,
        **kwargs,
    ) -> None:
        if reduce_zero_label:
            warnings.warn(
                'reduce_zero_label=True has no effect on WTADataset: its label ids 0, 1, 2 are never shifted. '
                'Leave it out.',
                stacklevel=2,
            )
        super().__init__(
            img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, reduce_zero_label=False, **kwargs
        )
