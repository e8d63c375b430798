"""Channel counts that are multiples of 8, as hardware needs them."""


def make_divisible(value: float, divisor: int, min_value: int | None = None, min_ratio: float = 0.9) -> int:
    """Round ``value`` to the nearest multiple of ``divisor``, losing at most ``1 - min_ratio`` of it.

    Args:
        value: the desired number of channels.
        divisor: the result is a multiple of it.
        min_value: lower bound of the result; ``divisor`` if None.
        min_ratio: the result is raised by one ``divisor`` if it is below this share of ``value``.
    """
    floor = divisor if min_value is None else min_value
    rounded = max(floor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < min_ratio * value else rounded
