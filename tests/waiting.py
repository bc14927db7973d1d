"""Wait for something that another process or thread does, and for no longer than that takes."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def until(condition: Callable[[], Value], limit_s: float = 60, *, poll_s: float = 0.02) -> Value:
    """Return the first value of ``condition`` that counts as true; AssertionError where none comes in ``limit_s``."""
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited for {limit_s} s in vain"
        time.sleep(poll_s)
    return value
