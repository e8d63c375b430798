"""The variables of ``configs/_base_/datasets`` files of the public data sets.

Example of a file; without the first line, mmengine takes it for one of its lazy configs::

    _base_ = []
    from mmseg.utils.public_config import dataset_variables
    globals().update(dataset_variables('PotsdamDataset', 'data/potsdam', ...))
"""

import copy

from .public_datasets import public_datasets

#: Scales of the test with several scales.
IMAGE_RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
#: Folders of images and of labels, and optionally the file that lists the names of the images.
Split = tuple[str, str] | tuple[str, str, str]


def dataset_variables(
    dataset_type: str,
    data_root: str,
    *,
    train: Split,
    val: Split,
    scale: tuple[int, int],
    crop_size: tuple[int, int],
    test: Split | None = None,
    test_scale: tuple[int, int] | None = None,
    reduce_zero_label: bool | None = None,
    batch_size: int = 4,
    num_workers: int = 4,
    repeat: int = 1,
    metric: str = 'mIoU',
) -> dict:
    """Pipelines, dataloaders and evaluators of a public data set, as mmsegmentation names them.

    Args:
        dataset_type: class of the dataset, see ``public_datasets.toml``.
        data_root: folder of the data set.
        train, val, test: its parts, below ``data_root``; ``test`` is ``val`` if None.
        scale: (width, height) that images are scaled to, in training by a random factor of 0.5 to 2 of it.
        crop_size: (height, width) of the crops that are trained.
        test_scale: (width, height) in tests; None: ``scale``.
        reduce_zero_label: of the datasets; None: that of the table.
        batch_size, num_workers: of the training.
        repeat: an epoch has the images this many times.
        metric: of ``IoUMetric``.
    """
    zero = (
        public_datasets()[dataset_type].reduce_zero_label if reduce_zero_label is None else reduce_zero_label
    )
    labels = dict(type='LoadAnnotations', **(dict(reduce_zero_label=True) if zero else {}))
    pipelines = dict(
        train_pipeline=train_pipeline(labels, scale, crop_size),
        test_pipeline=test_pipeline(labels, test_scale or scale),
        tta_pipeline=tta_pipeline(),
    )
    common = dict(type=dataset_type, data_root=data_root)
    if reduce_zero_label is not None:
        common['reduce_zero_label'] = reduce_zero_label
    trained = _dataset(common, train, pipelines['train_pipeline'])
    if repeat > 1:
        trained = dict(type='RepeatDataset', times=repeat, dataset=trained)
    evaluator = dict(type='IoUMetric', iou_metrics=[metric])
    variables = dict(
        dataset_type=dataset_type,
        data_root=data_root,
        crop_size=crop_size,
        img_ratios=list(IMAGE_RATIOS),
        **pipelines,
        train_dataloader=_loader('InfiniteSampler', True, batch_size, num_workers, trained),
        val_dataloader=_evaluated(_dataset(common, val, pipelines['test_pipeline'])),
        test_dataloader=_evaluated(_dataset(common, test or val, pipelines['test_pipeline'])),
        val_evaluator=evaluator,
        test_evaluator=evaluator,
    )
    return copy.deepcopy(variables)


def train_pipeline(labels: dict, scale: tuple[int, int], crop_size: tuple[int, int]) -> list[dict]:
    """Transforms of a training; ``labels`` loads the label map, see :func:`dataset_variables` for the others."""
    return [
        dict(type='LoadImageFromFile'),
        labels,
        dict(type='RandomResize', scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
        dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackSegInputs'),
    ]


def test_pipeline(labels: dict, scale: tuple[int, int]) -> list[dict]:
    """Transforms of a test; ``labels`` loads the label map, after the image is scaled, so that it keeps its size."""
    return [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=scale, keep_ratio=True),
        labels,
        dict(type='PackSegInputs'),
    ]


def tta_pipeline() -> list[dict]:
    """Transforms of a test that averages over six scales and a flip."""
    transforms = [
        [dict(type='Resize', scale_factor=ratio, keep_ratio=True) for ratio in IMAGE_RATIOS],
        [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)],
        [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')],
    ]
    return [
        dict(type='LoadImageFromFile', backend_args=None),
        dict(type='TestTimeAug', transforms=transforms),
    ]


def _dataset(common: dict, split: Split, pipeline: list[dict]) -> dict:
    images, labels, *names = split
    listed = dict(ann_file=names[0]) if names else {}
    return {
        **common,
        **listed,
        'data_prefix': dict(img_path=images, seg_map_path=labels),
        'pipeline': pipeline,
    }


def _evaluated(dataset: dict) -> dict:
    return _loader('DefaultSampler', False, 1, 4, dataset)


def _loader(sampler: str, shuffle: bool, batch_size: int, num_workers: int, dataset: dict) -> dict:
    return dict(
        batch_size=batch_size,
        num_workers=num_workers,
        persistent_workers=True,
        sampler=dict(type=sampler, shuffle=shuffle),
        dataset=dataset,
    )
