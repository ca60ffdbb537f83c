"""How many instruments speak: stretches in which most of them fell silent at once.

A collector that loses a part of its sources still writes rows, so that no silence of the whole file
shows it. Counted are the instruments heard in each five minutes; bounded to `BINS_MAX` of those
(about a year), what comes behind is not looked at.
"""

from __future__ import annotations

from attrs import frozen

from fsm.timestamps import SECOND_US

BIN_US = 300 * SECOND_US
BINS_MAX = 100_000
#: Fewer instruments than this at usual times: their silence together says nothing.
USUAL_MIN = 20
#: Thin is what has less than one in so many of the usual instruments.
_THIN_SHARE = 4


@frozen(slots=True)
class Thinning:
    """From `from_us` to `to_us` no more than `heard_most` instruments spoke in any five minutes."""

    from_us: int
    to_us: int
    heard_most: int


class Presence:
    """Counts the instruments heard in each stretch of `BIN_US`."""

    def __init__(self) -> None:
        self._heard: dict[int, int] = {}

    def observe(self, before_us: int | None, event_us: int) -> None:
        """An instrument spoke, the last time before at `before_us` (None: never)."""
        place = event_us // BIN_US
        if before_us is not None and before_us // BIN_US == place:
            return
        heard = self._heard
        if place in heard:
            heard[place] += 1
        elif len(heard) < BINS_MAX:
            heard[place] = 1

    def usual(self) -> int:
        """The median number of instruments in five minutes with any."""
        counts = sorted(self._heard.values())
        return counts[len(counts) // 2] if counts else 0

    def thinnings(self) -> list[Thinning]:
        """Stretches with less than a quarter of the usual instruments, in order of time."""
        usual = self.usual()
        if usual < USUAL_MIN:
            return []
        found: list[Thinning] = []
        open_ = False
        for place in sorted(self._heard):
            count = self._heard[place]
            if _THIN_SHARE * count >= usual:
                open_ = False
                continue
            start_us, end_us = place * BIN_US, (place + 1) * BIN_US
            if open_:
                last = found.pop()
                found.append(Thinning(last.from_us, end_us, max(last.heard_most, count)))
            else:
                found.append(Thinning(start_us, end_us, count))
            open_ = True
        return found
