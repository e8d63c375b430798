"""The classes of the public data sets, made from the table in :mod:`mmseg.utils.public_datasets`."""

from mmseg.registry import DATASETS
from mmseg.utils.public_datasets import PublicDataset, public_datasets

from .basesegdataset import BaseSegDataset


class PublicSegDataset(BaseSegDataset):
    """A :class:`BaseSegDataset` with the file endings and the label rule of a public data set.

    Its arguments have the defaults of ``DEFAULTS``; all others are those of :class:`BaseSegDataset`.
    """

    DEFAULTS: dict = {}

    def __init__(self, **kwargs) -> None:
        super().__init__(**{**self.DEFAULTS, **kwargs})


def _dataset_class(entry: PublicDataset) -> type[PublicSegDataset]:
    defaults = dict(
        img_suffix=entry.img_suffix,
        seg_map_suffix=entry.seg_map_suffix,
        reduce_zero_label=entry.reduce_zero_label,
    )
    content = dict(
        __doc__=f'``{entry.name}``: {len(entry.classes)} classes, images *{entry.img_suffix}, '
        f'labels *{entry.seg_map_suffix}.',
        __module__=__name__,
        METAINFO=dict(classes=entry.classes, palette=[list(colour) for colour in entry.palette]),
        DEFAULTS=defaults,
    )
    return type(entry.name, (PublicSegDataset,), content)


# Names of this module, so that a dataset can be pickled for a worker.
globals().update({entry.name: _dataset_class(entry) for entry in public_datasets().values()})
for _name in public_datasets():
    DATASETS.register_module(module=globals()[_name])

__all__ = list(public_datasets())
