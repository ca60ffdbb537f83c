"""The wall clock for what is not journaled: the names and the dates of backups.

Nothing of a journal is timed by it: events carry the engine's own time (L10).
"""

from __future__ import annotations

import time


def wall_us() -> int:
    """UTC microseconds since the epoch, as this machine's clock has it."""
    return time.time_ns() // 1_000
