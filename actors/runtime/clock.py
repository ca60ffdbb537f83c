"""The seam for time: the only module that reads a wall clock.

`now_us` is UTC microseconds. The system clock is anchored once and then follows the monotonic
clock, so that a jump of the wall clock neither fires nor delays a timer.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now_us(self) -> int:
        """UTC microseconds since the epoch, never going back."""


class SystemClock:
    """Real time, monotonic since the start of the process."""

    def __init__(self) -> None:
        self._wall_us = time.time_ns() // 1_000
        self._mono_us = time.monotonic_ns() // 1_000
        self._ahead_us = 0

    def not_before(self, floor_us: int) -> None:
        """Go on from `floor_us` when the wall clock is behind it: a journal's time never goes
        back."""
        self._ahead_us += max(floor_us - self.now_us(), 0)

    def now_us(self) -> int:
        """Wall time at the start plus monotonic time since."""
        return self._wall_us + self._ahead_us + time.monotonic_ns() // 1_000 - self._mono_us

    def skew_us(self) -> int:
        """How far the wall clock has moved away from us since the start; where we have gone on from
        a journal's time, that much is no skew."""
        return time.time_ns() // 1_000 - (self.now_us() - self._ahead_us)


class SimulatedClock:
    """Time that stands still until it is moved."""

    def __init__(self, start_us: int) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        """The simulated time."""
        return self._now_us

    def move_to(self, now_us: int) -> None:
        """Move forward; an earlier time is ignored (time never goes back)."""
        self._now_us = max(self._now_us, now_us)


def elapsed_s() -> float:
    """A monotonic reading in seconds for statistics (turn lengths, rates); never for decisions."""
    return time.perf_counter()
