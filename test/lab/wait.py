"""Waiting for a condition: polled, bounded, and with a sentence when it does not come."""

import time
from typing import Callable, TypeVar

T = TypeVar("T")

now = time.monotonic  # CLOCK_MONOTONIC, the one clock of every figure the lab gives


class NotInTime(TimeoutError):
    """A condition did not come true within its bound."""


def until(what: str, condition: Callable[[], T], seconds: float = 60, every: float = 0.05) -> T:
    """Return the first true value of condition(); NotInTime names `what` and the last error."""
    deadline = now() + seconds
    while True:
        error: Exception | None = None
        try:
            value = condition()
            if value:
                return value
        except Exception as caught:  # noqa: BLE001: a node that is down is no reason to stop looking
            error = caught
        if now() >= deadline:
            because = f": {str(error).strip()}" if error else ""
            raise NotInTime(f"not within {seconds:g} s: {what}{because}") from error
        time.sleep(every)
