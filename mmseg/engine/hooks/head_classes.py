"""Compare the number of classes of each head with the dataset's."""

from collections.abc import Iterator, Sequence

from torch import nn

_HEADS = ('decode_head', 'auxiliary_head')


def head_class_counts(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Name and ``num_classes`` of every head of a segmentor: ``('auxiliary_head[1]', 19)``."""
    for name in _HEADS:
        part = getattr(model, name, None)
        for index, head in enumerate(part if isinstance(part, (list, tuple, nn.ModuleList)) else [part]):
            count = getattr(head, 'num_classes', None)
            if isinstance(count, int):
                yield (name if head is part else f'{name}[{index}]'), count


def check_heads(model: nn.Module, classes: Sequence[str]) -> None:
    """Raises ``ValueError`` when a head of ``model`` has another number of classes than the dataset; names all such.

    A model without known heads is judged by its own ``num_classes``.
    """
    counts = list(head_class_counts(model))
    if not counts and getattr(model, 'num_classes', None):
        counts = [('model', model.num_classes)]
    wrong = [f'{name} num_classes={count}' for name, count in counts if count != len(classes)]
    if wrong:
        raise ValueError(
            f'it has {len(classes)} classes {tuple(classes)}, {", ".join(wrong)}; '
            f'set num_classes={len(classes)} there, or derive the heads from the classes with '
            'mmseg.utils.class_config.with_classes'
        )
