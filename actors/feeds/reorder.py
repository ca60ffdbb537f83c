"""Putting streams that cross each other in event-time order, with bounded memory (L9)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from fsm.market import MarketData

WINDOW_US_DEFAULT = 2_000_000
ITEMS_MAX_DEFAULT = 10_000


class ReorderBuffer:
    """Holds what is younger than the newest event minus `window_us`, at most `items_max` of it.

    A quote of 12:00:00.110 may arrive before the trade of 12:00:00.000 that caused it: the
    exchange's streams are ordered each by itself only. Equal times keep the order of arrival.
    What arrives behind something already released goes straight out again, with its true time:
    the caller sees it by `released_us` and counts it, nothing is dropped.

    Rows that come in order wait in a queue and cost next to nothing; only those that came behind a
    younger one go through a heap.
    """

    __slots__ = (
        "_behind",
        "_items_max",
        "_queue",
        "_sequence",
        "_window_us",
        "newest_us",
        "released_us",
    )

    def __init__(
        self, window_us: int = WINDOW_US_DEFAULT, items_max: int = ITEMS_MAX_DEFAULT
    ) -> None:
        self._queue: deque[MarketData] = deque()
        self._behind: list[tuple[int, int, MarketData]] = []
        self._window_us = window_us
        self._items_max = items_max
        self._sequence = 0
        self.newest_us = 0
        self.released_us = 0

    def __len__(self) -> int:
        return len(self._queue) + len(self._behind)

    def push(self, item: MarketData) -> Sequence[MarketData]:
        """Take `item`, and give what need not wait any longer, oldest first."""
        event_us = item.event_us
        queue = self._queue
        if event_us >= self.newest_us:
            self.newest_us = event_us
            queue.append(item)
        else:
            self._sequence += 1
            heappush(self._behind, (event_us, self._sequence, item))
        horizon_us = self.newest_us - self._window_us
        ready: list[MarketData] = []
        if not self._behind:  # nearly always: the queue alone is in order
            while queue and (queue[0].event_us <= horizon_us or len(queue) > self._items_max):
                ready.append(queue.popleft())
            if ready:
                self.released_us = ready[-1].event_us
            return ready
        while queue or self._behind:
            if self._oldest_us() > horizon_us and len(self) <= self._items_max:
                break
            ready.append(self._pop())
        return ready

    def rest(self) -> Iterator[MarketData]:
        """Everything that is still held, oldest first: the source has ended."""
        while self._queue or self._behind:
            yield self._pop()

    def _oldest_us(self) -> int:
        if not self._behind:
            return self._queue[0].event_us
        behind_us = self._behind[0][0]
        return min(behind_us, self._queue[0].event_us) if self._queue else behind_us

    def _pop(self) -> MarketData:
        behind, queue = self._behind, self._queue
        # At equal times the queue's item came first: what is behind came after something younger.
        if behind and not (queue and queue[0].event_us <= behind[0][0]):
            item = heappop(behind)[2]
        else:
            item = queue.popleft()
        self.released_us = max(self.released_us, item.event_us)
        return item
