# ruff: noqa: NPY002 - numpy's global state is what a worker seeds and a resumed run restores
"""Transforms of the albumentations package, which is imported only if a config uses ``Albu``."""

import numpy as np
from mmcv.transforms.base import BaseTransform

from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Albu(BaseTransform):
    """Run albumentations' transforms on the image and its maps.

    albumentations expects RGB, the images of a pipeline are BGR: an image of three channels is converted before
    and after, as in mmsegmentation. Maps are left as they are.

    Newer versions of that package have their own random generator; it is seeded from numpy's global state at
    each call, so that runs are reproducible.

    Args:
        transforms: Configs, ``dict(type='HorizontalFlip', p=0.5)``; nested ones as
            ``dict(type='OneOf', transforms=[...])``.
        keymap: From keys of the results to albumentations' names, by default
            ``dict(img='image', gt_seg_map='mask')``. Names other than these two are taken as masks.
        update_pad_shape: Set ``pad_shape`` to the shape of the new image.

    Raises:
        ImportError: albumentations is not installed.
        ValueError: albumentations has no such transform, or a map of the results is not in ``keymap``.
    """

    def __init__(
        self, transforms: list[dict], keymap: dict | None = None, update_pad_shape: bool = False
    ) -> None:
        try:
            import albumentations
        except ImportError as error:
            raise ImportError(
                'Albu needs the package albumentations: pip install albumentations, or leave Albu out.'
            ) from error
        self.transforms = transforms
        self.keymap = dict(keymap or dict(img='image', gt_seg_map='mask'))
        self.update_pad_shape = update_pad_shape
        others = [name for name in self.keymap.values() if name not in ('image', 'mask')]
        self.aug = albumentations.Compose(
            [self.albu_builder(step) for step in transforms],
            additional_targets=dict.fromkeys(others, 'mask'),
        )

    def albu_builder(self, cfg: dict) -> object:
        """Build one transform of albumentations, with the nested ones in ``cfg['transforms']``."""
        import albumentations

        arguments = dict(cfg)
        kind = arguments.pop('type')
        factory = getattr(albumentations, kind, None) if isinstance(kind, str) else kind
        if factory is None:
            raise ValueError(
                f'Albu: albumentations {albumentations.__version__} has no transform {kind!r}. Correct its name.'
            )
        if 'transforms' in arguments:
            arguments['transforms'] = [self.albu_builder(step) for step in arguments['transforms']]
        return factory(**arguments)

    def transform(self, results: dict) -> dict:
        """Change the keys of ``keymap`` that the results hold."""
        unmapped = [key for key in results.get('seg_fields', []) if key not in self.keymap]
        if unmapped:
            raise ValueError(
                f'Albu would not change {unmapped}: add them to keymap, for example '
                f'{dict(self.keymap, **{key: key for key in unmapped})}.'
            )
        if hasattr(self.aug, 'set_random_seed'):
            self.aug.set_random_seed(np.random.randint(2**31))
        inputs = {name: results[key] for key, name in self.keymap.items() if key in results}
        changed = self.aug(**self._reversed_channels(inputs))
        changed = self._reversed_channels(changed)
        for key, name in self.keymap.items():
            if key in results:
                results[key] = changed[name]
        results['img_shape'] = results['img'].shape[:2]
        if self.update_pad_shape:
            results['pad_shape'] = results['img'].shape
        return results

    @staticmethod
    def _reversed_channels(arrays: dict) -> dict:
        """BGR to RGB, or back, in ``arrays['image']`` (H, W, 3)."""
        image = arrays.get('image')
        if image is None or image.ndim != 3 or image.shape[2] != 3:
            return arrays
        return {**arrays, 'image': np.ascontiguousarray(image[..., ::-1])}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms})'
