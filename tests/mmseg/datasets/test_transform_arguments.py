"""Arguments that mmsegmentation 1.2.2 refuses, or accepts and then fails with or ignores."""

import pytest
import torch

import mmseg.datasets  # noqa: F401
from mmseg.models.losses import DiceLoss
from mmseg.registry import TRANSFORMS

CUTOUT = dict(type='RandomCutOut', prob=1, n_holes=1)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        *(
            (dict(type='RandomRotFlip', degree=value), 'degree=')
            for value in ([20, 20, 20], -20, 0, [20], '20')
        ),
        *(
            (dict(type='RandomRotate', prob=1, degree=value), 'degree=')
            for value in ([1, 2, 3], 0, ['a', 'b'])
        ),
        *(
            (dict(CUTOUT, cutout_shape=value), 'cutout_shape=')
            for value in (8, [8], (8, 8, 8), [(8, 8), 4], (-8, 8), (8.5, 8), 'ab')
        ),
        *((dict(CUTOUT, cutout_ratio=value), 'cutout_ratio=') for value in (0.5, (1.5, 0.5), (0, 0.5))),
        *((dict(type='CLAHE', clip_limit=value), 'clip_limit=') for value in ('a', None, (1,), -1)),
        *(
            (dict(type='CLAHE', tile_grid_size=value), 'tile_grid_size=')
            for value in (8, (8,), (8, 8.5), (8, 8, 8), ('a', 8), (0, 8))
        ),
        *(
            (dict(type='Rerange', min_value=low, max_value=high), 'min_value=')
            for low, high in (('a', 255), (0, 'b'), (None, 1), (255, 0), (0, 0))
        ),
    ],
)
def test_wrong_arguments_are_refused(config, message):
    with pytest.raises(ValueError, match=f'{config["type"]}: {message}'):
        TRANSFORMS.build(config)


@pytest.mark.parametrize(
    'config',
    [
        dict(type='RandomRotFlip', degree=20),
        dict(type='RandomRotFlip', degree=(10, -10)),
        dict(CUTOUT, cutout_shape=[(8, 8), (4, 4)]),
        dict(CUTOUT, cutout_ratio=(0.5, 0.5)),
        dict(type='CLAHE', clip_limit=0, tile_grid_size=(8, 8)),
        dict(type='Rerange', min_value=0, max_value=1.5),
    ],
)
def test_right_arguments_are_accepted(config):
    assert type(TRANSFORMS.build(config)).__name__ == config['type']


@pytest.mark.parametrize('shape', [(3,), (1,), (2, 3), (4, 5)])
def test_dice_refuses_weights_of_classes(shape):
    pred, target = torch.randn(2, 3, 4, 5), torch.zeros(2, 4, 5, dtype=torch.long)
    with pytest.raises(ValueError, match=r'dice_loss: weight has shape .* expected \(2,\), one per sample'):
        DiceLoss()(pred, target, weight=torch.ones(shape))


def test_dice_accepts_weights_of_samples_and_pixels():
    pred, target = torch.randn(2, 3, 4, 5), torch.zeros(2, 4, 5, dtype=torch.long)
    for shape in ((2,), (2, 4, 5)):
        torch.testing.assert_close(
            DiceLoss()(pred, target, weight=torch.ones(shape)), DiceLoss()(pred, target)
        )
