"""mmengine's checkpoint hook, with the names of segmentation metrics."""

from mmengine.hooks import CheckpointHook as _CheckpointHook

from mmseg.registry import HOOKS


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """Saves checkpoints; ``save_best`` knows every scalar of ``IoUMetric``.

    mmengine infers from a metric's name whether more is better, and asks for ``rule='greater'`` where it
    cannot: for ``save_best='IoU.broken'``, for example. Here it can. A score of nan, as of a class without
    a pixel in the ground truth, never counts as best.
    """

    # mmengine leaves these to the packages that stand on it. They are compared without case.
    _default_greater_keys = [
        *_CheckpointHook._default_greater_keys,
        'IoU',
        'Dice',
        'Fscore',
        'Recall',
    ]
