"""Putting streams that cross each other in event-time order, with bounded memory (L9)."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from fsm.market import MarketData

WINDOW_US_DEFAULT = 2_000_000
ITEMS_MAX_DEFAULT = 10_000


class ReorderBuffer:
    """Holds what is younger than the newest event minus `window_us`, at most `items_max` of it.

    A quote of 12:00:00.110 may arrive before the trade of 12:00:00.000 that caused it: the
    exchange's streams are ordered each by itself only. Equal times keep the order of arrival.
    What arrives behind something already released goes straight out again, with its true time:
    `push` says so, the caller counts it, nothing is dropped.
    """

    __slots__ = ("_heap", "_items_max", "_sequence", "_window_us", "newest_us", "released_us")

    def __init__(
        self, window_us: int = WINDOW_US_DEFAULT, items_max: int = ITEMS_MAX_DEFAULT
    ) -> None:
        self._heap: list[tuple[int, int, MarketData]] = []
        self._window_us = window_us
        self._items_max = items_max
        self._sequence = 0
        self.newest_us = 0
        self.released_us = 0

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, item: MarketData) -> bool:
        """Take `item`; False when it is too late to come out in order."""
        event_us = item.event_us
        self.newest_us = max(self.newest_us, event_us)
        self._sequence += 1
        heappush(self._heap, (event_us, self._sequence, item))
        return event_us >= self.released_us

    def ready(self) -> Iterator[MarketData]:
        """What need not wait any longer, oldest first."""
        heap = self._heap
        horizon_us = self.newest_us - self._window_us
        while heap and (heap[0][0] <= horizon_us or len(heap) > self._items_max):
            yield self._pop()

    def rest(self) -> Iterator[MarketData]:
        """Everything that is still held, oldest first: the source has ended."""
        while self._heap:
            yield self._pop()

    def _pop(self) -> MarketData:
        event_us, _, item = heappop(self._heap)
        self.released_us = max(self.released_us, event_us)
        return item
