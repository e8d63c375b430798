"""Capture a step in every process of a training, or in none."""

from collections.abc import Callable

from ..exchange import Exchange


class NotCapturedError(Exception):
    """A capture failed, in this process or in another; the message is the reason."""


def capture_together(
    capture: Callable[[], Callable[[], None]], exchange: Exchange | None
) -> Callable[[], None]:
    """What ``capture`` returns, if it succeeds in every process; capturing runs no collective, so none waits.

    Raises:
        NotCapturedError: it failed in one of them; raised in each.
    """
    reason = replay = None
    try:
        replay = capture()
    except Exception as error:
        reason = text_of(error)
    if exchange is not None:
        reason = exchange.agree(reason)
    if reason is not None:
        raise NotCapturedError(reason)
    return replay


def text_of(error: Exception) -> str:
    """Kind and first line of an error."""
    if isinstance(error, NotCapturedError):
        return str(error)
    return f'{type(error).__name__}: {(str(error).splitlines() or [""])[0]}'
