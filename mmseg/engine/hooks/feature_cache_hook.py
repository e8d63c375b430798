"""A frozen backbone's features of the training images, kept on disk while its head is trained."""

import os
from collections.abc import Iterator
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmseg.models.utils.feature_cache import FeatureCache, digest_of_model
from mmseg.registry import HOOKS

#: Transforms that make few images of one: as it is, or flipped.
REPEATING = ('LoadImageFromFile', 'LoadAnnotations', 'Resize', 'Pad', 'RandomFlip', 'PackSegInputs')
DEFAULT_LIMIT_GB = 10.0


def default_folder() -> Path:
    """``features`` in ``$WTA_SEG_CACHE``, by default in ``~/.cache/wta-seg``."""
    return Path(os.environ.get('WTA_SEG_CACHE') or Path('~/.cache/wta-seg').expanduser()) / 'features'


@HOOKS.register_module()
class FeatureCacheHook(Hook):
    """Lets a frozen backbone read its features of training images that it has seen, from disk.

    An image and its mirror images have features of their own, so flips are exact. Random crops, scales and colours would
    give a new image each time, and are refused. Validation and test compute features, in full precision.

    Args:
        folder: of the cache; None: :func:`default_folder`. Delete it at any time.
        limit_gb: largest total size of the folder in 10^9 bytes; what does not fit is computed each time.

    Raises:
        ValueError: ``limit_gb`` is not positive; when a training begins: the backbone is not frozen, or the training
            pipeline makes new images each time.
    """

    priority = 'NORMAL'
    #: A CUDA graph can not read features from disk, see :mod:`mmseg.engine.captured`.
    capturable = False

    def __init__(self, folder: str | None = None, limit_gb: float = DEFAULT_LIMIT_GB) -> None:
        if limit_gb <= 0:
            raise ValueError(f'FeatureCacheHook: limit_gb={limit_gb}, expected a size above 0')
        self.folder = Path(folder).expanduser() if folder else default_folder()
        self.limit_gb = limit_gb
        self._backbone = self._cache = None

    def before_train(self, runner: Runner) -> None:
        """Check that the features can be reused, and identify the backbone."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        backbone = getattr(model, 'backbone', None)
        if not hasattr(backbone, 'feature_cache') or not backbone.frozen:
            raise ValueError(
                f'FeatureCacheHook: the backbone {type(backbone).__name__} is not frozen; expected a '
                'TIMMVisionTransformer with frozen=True, or remove the hook'
            )
        random = [name for name in _transforms(runner.train_dataloader.dataset) if name not in REPEATING]
        random += [
            type(augment).__name__ for augment in getattr(model.data_preprocessor, 'batch_augments', ())
        ]
        if random:
            raise ValueError(
                f'FeatureCacheHook: {", ".join(random)} in the training pipeline, of which features are never needed '
                f'twice; expected only {", ".join(REPEATING)}. Remove them or the hook'
            )
        self._backbone = backbone
        digest = digest_of_model(backbone.timm_model, backbone.identity())
        self._cache = FeatureCache(self.folder, digest, self.limit_gb)
        runner.logger.info(
            f'features of training images are cached in {self.folder / digest} ({self._cache.size / 1e9:.2f} of '
            f'{self.limit_gb:g} GB used)'
        )

    def before_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Lend the backbone the cache, for this training step alone."""
        self._backbone.feature_cache = self._cache

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Take the cache back, so that a validation computes."""
        self._backbone.feature_cache = None

    def after_train(self, runner: Runner) -> None:
        """Log what the cache was worth."""
        runner.logger.info(f'feature cache: {self._cache.read} images read, {self._cache.computed} computed')


def _transforms(dataset: object) -> Iterator[str]:
    """Names of the transforms of a dataset and of those in it."""
    pipeline = getattr(dataset, 'pipeline', None)
    for transform in getattr(pipeline, 'transforms', pipeline) or ():
        yield type(transform).__name__
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for one in inner:
        if one is not None:
            yield from _transforms(one)
