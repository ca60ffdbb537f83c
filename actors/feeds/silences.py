"""How long a source is silent: its rhythm, and what stands out of it. Bounded, whatever is read.

Lengths are counted by whole seconds up to an hour and by minutes beyond, so that the usual distance
and the number of silences of any length are known afterwards. The longest ones are kept as such.
"""

from __future__ import annotations

from heapq import heappush, heapreplace

from attrs import frozen

from fsm.timestamps import SECOND_US

KEPT_MAX = 1_000
#: Fewer distances than this show no rhythm.
RHYTHM_MIN = 8
_HOUR_S, _MINUTE_S = 3_600, 60
_MINUTES_MAX = 60 * 24 * 31


@frozen(slots=True, order=True)
class Silence:
    """Nothing came between two rows; ordered by length."""

    length_us: int
    from_us: int
    to_us: int


class Silences:
    """Counts the distances between rows; keeps the longest `KEPT_MAX` of at least `keep_us`."""

    def __init__(self, keep_us: int) -> None:
        self._keep_us = keep_us
        self._seconds = [0] * _HOUR_S
        self._minutes: dict[int, int] = {}
        self._kept: list[Silence] = []
        self.total = 0

    def observe(self, from_us: int, to_us: int) -> None:
        """The next row came `to_us` after one at `from_us`."""
        length_us = to_us - from_us
        seconds = length_us // SECOND_US
        self.total += 1
        if seconds < _HOUR_S:
            self._seconds[seconds] += 1
        else:
            minute = min(seconds // _MINUTE_S, _MINUTES_MAX)
            self._minutes[minute] = self._minutes.get(minute, 0) + 1
        if length_us >= self._keep_us:
            if len(self._kept) < KEPT_MAX:
                heappush(self._kept, Silence(length_us, from_us, to_us))
            elif length_us > self._kept[0].length_us:
                heapreplace(self._kept, Silence(length_us, from_us, to_us))

    def usual_s(self) -> int:
        """The (lower) median distance in whole seconds; 0 below one, and for too few to tell."""
        seen = 0
        if self.total < RHYTHM_MIN:
            return 0
        for seconds, count in enumerate(self._seconds):
            seen += count
            if 2 * seen >= self.total:
                return seconds
        for minute in sorted(self._minutes):
            seen += self._minutes[minute]
            if seen and 2 * seen >= self.total:
                return minute * _MINUTE_S
        return 0

    def at_least(self, seconds: int) -> int:
        """How many distances were of so many whole seconds or more (beyond an hour: minutes)."""
        count = sum(self._seconds[seconds:])
        return count + sum(n for m, n in self._minutes.items() if m >= seconds // _MINUTE_S)

    def longest(self, least_us: int) -> list[Silence]:
        """The kept ones of at least this length, the longest first."""
        return sorted((s for s in self._kept if s.length_us >= least_us), reverse=True)
