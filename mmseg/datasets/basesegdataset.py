"""Datasets of images and label maps in two folders, or named in a list file."""

import copy
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from mmengine import fileio
from mmengine.dataset import BaseDataset, Compose, force_full_init
from mmengine.dist import is_main_process
from mmengine.registry import DefaultScope
from rich.progress import Progress

from mmseg.registry import DATASETS

from .label_counts import count_classes
from .listing import ImageListing
from .normal_images import ALTERNATIVES, DEFAULT_SHARE, NORMAL, divide_images
from .pipeline_errors import run_pipeline

#: Label of pixels whose class is not in ``metainfo['classes']``; losses and metrics ignore it.
DROPPED_LABEL = 255


def default_scope() -> str:
    """The default scope that a runner has set, or this package's."""
    current = DefaultScope.get_current_instance()
    name = current.scope_name if current is not None else 'mmengine'
    return 'mmseg' if name == 'mmengine' else name


@DATASETS.register_module()
class BaseSegDataset(ImageListing, BaseDataset):
    """A semantic segmentation dataset of image files and 8-bit label maps.

    Label maps are paired with images by name: the image suffix is replaced by the label suffix::

        data_root/img_dir/train/a/x.png   ->   data_root/ann_dir/train/a/x.png

    An item before the pipeline is ``dict(img_path, seg_map_path, label_map, reduce_zero_label,
    seg_fields, sample_idx)``; without a ``seg_map_path`` prefix it has no ``seg_map_path``. The dataset has no
    random state and does not change after ``full_init``, so that all workers and resumed runs read the same.

    Args:
        ann_file: Text file with one image name per line, without suffix. Empty: every file below
            the image folder that ends with ``img_suffix``, sorted.
        img_suffix: Ending of the image files; None: any of :data:`.image_files.IMAGE_SUFFIXES` in any case, mixed.
        seg_map_suffix: Ending of the label files.
        metainfo: Overrides ``METAINFO``. A subset or permutation of the classes re-numbers the labels;
            classes left out become 255.
        data_root: Folder that relative prefixes and ``ann_file`` start from.
        data_prefix: Folders of images and labels, ``dict(img_path=..., seg_map_path=...)``; ``normal_path=...`` adds
            images without labels that are class 0 all over, see :mod:`.normal_images`.
        filter_cfg: Part of the interface, without effect; a value other than None warns.
        indices: Use only the first ``indices`` items, or the items with these indices.
        serialize_data: Store the item list pickled in one array, which forked workers share.
        pipeline: Transforms, see :mod:`mmseg.datasets.transforms`.
        test_mode: If a transform returns None, raise an error instead of taking another item.
        lazy_init: Do not read the disk before the first use.
        max_refetch: How many other items to try in training when the pipeline returns None.
        ignore_index: Label that losses and metrics skip.
        reduce_zero_label: Labels 1, 2, … become 0, 1, … and 0 becomes 255.
        backend_args: File backend of mmengine, None for the local disk.
        max_normal_share: Largest share of the images of ``normal_path`` in all items, above 0 and below 1.

    Raises:
        FileNotFoundError: The image folder, ``ann_file`` or an image in it does not exist.
        ValueError: The folder contains no image of that suffix, two images have one stem, or ``metainfo`` names
            unknown classes.
    """

    METAINFO: dict = {}

    def __init__(
        self,
        ann_file: str = '',
        img_suffix: str | None = '.jpg',
        seg_map_suffix='.png',
        metainfo: dict | None = None,
        data_root: str | None = None,
        data_prefix: dict = dict(img_path='', seg_map_path=''),
        filter_cfg: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: list[dict | Callable] = [],
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
        ignore_index: int = 255,
        reduce_zero_label: bool = False,
        backend_args: dict | None = None,
        max_normal_share: float = DEFAULT_SHARE,
    ) -> None:
        self.max_normal_share = max_normal_share
        self.img_suffix = img_suffix
        self.seg_map_suffix = seg_map_suffix
        self.ignore_index = ignore_index
        self.reduce_zero_label = reduce_zero_label
        self.backend_args = copy.copy(backend_args)

        self.ann_file = ann_file
        self.data_root = data_root
        self.data_prefix = copy.copy(data_prefix)
        self.filter_cfg = copy.deepcopy(filter_cfg)
        if filter_cfg is not None:
            warnings.warn(
                f'filter_cfg={filter_cfg} has no effect: {type(self).__name__} filters nothing. '
                'Name the wanted files in ann_file, or override filter_data().',
                stacklevel=2,
            )
        self._indices = indices
        self.serialize_data = serialize_data
        self.test_mode = test_mode
        self.max_refetch = max_refetch
        self.data_list: list[dict] = []
        self.data_bytes: np.ndarray

        self._metainfo = self._load_metainfo(copy.deepcopy(metainfo))
        self.label_map = self.get_label_map(self._metainfo.get('classes'))
        self._metainfo.update(label_map=self.label_map, reduce_zero_label=reduce_zero_label)
        self._metainfo['palette'] = self._update_palette()
        if test_mode and self._metainfo.get('classes') is None:
            raise ValueError(
                f'{type(self).__name__} has no class names, which test mode needs: '
                "pass metainfo=dict(classes=('...', ...)) or set METAINFO."
            )

        if self.data_root is not None:
            self._join_prefix()
        self.pipeline = self._build_pipeline(pipeline)
        if not lazy_init:
            self.full_init()

    @staticmethod
    def _build_pipeline(pipeline: list[dict | Callable]) -> Compose:
        """Build the transforms; their names are looked up in this package first, also without a default scope."""
        with DefaultScope.overwrite_default_scope(default_scope()):
            return Compose(pipeline)

    @classmethod
    def get_label_map(cls, new_classes: Sequence | None = None) -> dict[int, int] | None:
        """Old id -> new id when ``new_classes`` selects or reorders ``METAINFO['classes']``, else None.

        Classes that are not selected map to 255, so that they are ignored in training and testing.
        """
        old_classes = cls.METAINFO.get('classes')
        if new_classes is None or old_classes is None or list(new_classes) == list(old_classes):
            return None
        unknown = [name for name in new_classes if name not in old_classes]
        if unknown:
            raise ValueError(
                f'new classes {new_classes} is not a subset of classes {old_classes} in METAINFO of '
                f'{cls.__name__}: {unknown} not found. Correct metainfo["classes"].'
            )
        new_ids = {name: i for i, name in enumerate(new_classes)}
        return {i: new_ids.get(name, DROPPED_LABEL) for i, name in enumerate(old_classes)}

    def get_new_label_map(self) -> dict[int, int] | None:
        """The label map for this dataset's ``metainfo['classes']``."""
        return self.get_label_map(self._metainfo.get('classes'))

    def _update_palette(self) -> list:
        """Colours in the order of ``metainfo['classes']``: given, selected, or random with a fixed seed."""
        palette = self._metainfo.get('palette', [])
        classes = self._metainfo.get('classes') or []
        if len(palette) == len(classes):
            return palette
        if len(palette) == 0:
            drawn = np.random.RandomState(42).randint(0, 255, size=(len(classes), 3))
            return drawn.tolist()
        if len(palette) > len(classes) and self.label_map is not None:
            selected = sorted((new, old) for old, new in self.label_map.items() if new != DROPPED_LABEL)
            return type(palette)([palette[old] for _, old in selected])
        raise ValueError(
            f'palette has {len(palette)} colours for {len(classes)} classes: '
            'metainfo["palette"] needs one [R, G, B] per class.'
        )

    def load_data_list(self) -> list[dict]:
        """List the items, one dict per image, from ``ann_file`` or from the image folder."""
        img_dir = self.data_prefix.get('img_path')
        ann_dir = self.data_prefix.get('seg_map_path')
        if not self._has_list_file():
            images = self._images_of_folder(img_dir)
        else:
            images = self._images_of_list(self._stems_of_list_file(), img_dir)
        items = [self._item(stem, image, img_dir, ann_dir) for stem, image in images.items()]
        return items + self._normal_items(len(items))

    def _item(self, stem: str, image: str, img_dir: str, ann_dir: str | None) -> dict:
        item = dict(img_path=fileio.join_path(img_dir, image) if img_dir else image)
        if ann_dir:
            item['seg_map_path'] = fileio.join_path(ann_dir, stem + self.seg_map_suffix)
        return self._with_rules(item)

    def _with_rules(self, item: dict) -> dict:
        rules = dict(label_map=self.label_map, reduce_zero_label=self.reduce_zero_label, seg_fields=[])
        return item | rules

    def _normal_items(self, labelled: int) -> list[dict]:
        folder = self.data_prefix.get('normal_path')
        if not folder:
            return []
        if self.reduce_zero_label or (self.label_map or {}).get(0) == DROPPED_LABEL:
            raise ValueError(
                f'normal_path={folder!r}: class 0, which normal images are, is ignored in this dataset; leave out '
                'reduce_zero_label, name class 0 in metainfo, or leave out normal_path'
            )
        names = self._images_of_folder(folder, suffix=None).values()
        items = []
        for shared in divide_images(list(names), labelled, self.max_normal_share):
            paths = [fileio.join_path(folder, name) for name in shared]
            items.append(self._with_rules({'img_path': paths[0], NORMAL: True, ALTERNATIVES: paths}))
        return items

    def prepare_data(self, idx: int) -> dict | None:
        """Item ``idx`` after the pipeline, see :func:`.pipeline_errors.run_pipeline`."""
        return run_pipeline(self.pipeline, self.get_data_info(idx))

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class ids in the labels of item ``idx``, without the ignored one (reads the file)."""
        labels = self._labels(idx)
        return [int(label) for label in np.unique(labels) if label != self.ignore_index]

    @force_full_init
    def class_counts(self) -> np.ndarray:
        """Labelled pixels per image and class, (N, number of classes) int64; reads every label map.

        Labels are read as the pipeline reads them, before any augmentation. Shows its progress.

        Raises:
            ValueError: The dataset has no class names, an image no label map, or a label is out of range.
        """
        classes = self._metainfo.get('classes')
        if classes is None:
            raise ValueError(
                f"{type(self).__name__} has no class names: pass metainfo=dict(classes=('...', ...))."
            )
        counts = np.zeros((len(self), len(classes)), np.int64)
        with Progress(disable=not is_main_process()) as progress:
            for idx in progress.track(range(len(self)), description='counting the pixels of each class'):
                counts[idx] = self._count_labels(idx, len(classes))
        return counts

    def _count_labels(self, idx: int, num_classes: int) -> np.ndarray:
        info = self.get_data_info(idx)
        source = info.get('seg_map_path', info['img_path'])
        return count_classes(self._labels(idx), num_classes, self.ignore_index, source)

    def label_loader(self) -> Callable[[dict], dict]:
        """The pipeline's ``LoadAnnotations``; the default one if it has none."""
        # imported here, so that a dataset class can be defined without the transforms
        from .transforms.loading import LoadAnnotations

        for transform in getattr(self.pipeline, 'transforms', ()):
            if isinstance(transform, LoadAnnotations):
                return transform
        return LoadAnnotations(backend_args=self.backend_args, cache_mb=0)

    def _labels(self, idx: int) -> np.ndarray:
        info = self.get_data_info(idx)
        if 'seg_map_path' not in info and not info.get(NORMAL):
            raise ValueError(f'{info["img_path"]} has no label map: data_prefix lacks seg_map_path.')
        return self.label_loader()(info)['gt_seg_map']
