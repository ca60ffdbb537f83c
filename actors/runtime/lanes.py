"""The inbox: bounded lanes in falling priority, each with statistics and a stated limit (L9).

local > control > facts > market. A full control lane refuses, a full fact lane makes its source
wait (venue facts are never dropped: the socket reader pauses), a full market lane sheds the new
data and counts it, so that the loss can be recorded as a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import trio
from attrs import define, field, frozen


class LaneFull(Exception):
    """A lane is at its limit; the message names the lane and the limit."""


@frozen(slots=True)
class LaneStatistics:
    """A lane's counters since the start."""

    name: str
    limit: int
    waiting: int
    accepted: int
    shed: int
    waiting_max: int


@define(slots=True)
class Lane:
    """One bounded queue. `shed` counts what a full lane refused."""

    name: str
    limit: int
    accepted: int = 0
    shed: int = 0
    waiting_max: int = 0
    queue: deque[object] = field(factory=deque)

    def __len__(self) -> int:
        return len(self.queue)

    @property
    def is_full(self) -> bool:
        """Whether the next offer would be refused."""
        return len(self.queue) >= self.limit

    def offer(self, message: object) -> bool:
        """Append; False (and counted) when the lane is full."""
        queue = self.queue
        if len(queue) >= self.limit:
            self.shed += 1
            return False
        queue.append(message)
        self.accepted += 1
        if len(queue) > self.waiting_max:
            self.waiting_max = len(queue)
        return True

    def offer_at(self, index: int, message: object) -> bool:
        """As `offer`, but `index` places from the front."""
        if not self.offer(message):
            return False
        self.queue.insert(index, self.queue.pop())
        return True

    def __iter__(self) -> Iterator[object]:
        return iter(self.queue)

    def take(self) -> object:
        """The oldest message."""
        return self.queue.popleft()

    def statistics(self) -> LaneStatistics:
        """Counters as of now."""
        return LaneStatistics(
            self.name, self.limit, len(self.queue), self.accepted, self.shed, self.waiting_max
        )


class Inbox:
    """All lanes of one dispatcher, and the bell that wakes it."""

    def __init__(self, *, control_max: int, facts_max: int, market_max: int) -> None:
        self.local = Lane("local", facts_max + market_max)
        self.control = Lane("control", control_max)
        self.facts = Lane("facts", facts_max)
        self.market = Lane("market", market_max)
        self._lanes = (self.local, self.control, self.facts, self.market)
        self.on_arrival: Callable[[], None] = lambda: None
        self._room_for_facts = trio.Event()
        self._ahead = 0

    def tell_first(self, message: object) -> None:
        """What the release did: ahead of every other local message, in its own order, because no
        actor may decide on an order before it knows whether its request has left."""
        if not self.local.offer_at(self._ahead, message):
            raise LaneFull(f"lane local is full ({self.local.limit})")
        self._ahead += 1
        self.on_arrival()

    def tell_local(self, message: object) -> None:
        """A message of the engine to itself, ahead of everything else."""
        if not self.local.offer(message):
            raise LaneFull(f"lane local is full ({self.local.limit})")
        self.on_arrival()

    def tell_behind_commands(self, message: object) -> None:
        """Work of the engine on a command, chunk by chunk: another command goes first. It is never
        refused, there is one such message a command."""
        self.control.queue.append(message)
        self.on_arrival()

    def tell_behind_all(self, message: object) -> None:
        """Long work of the engine, piece by piece: whatever waits goes first. It is never refused,
        there is one such message a piece of work."""
        self.market.queue.append(message)
        self.on_arrival()

    def command(self, message: object) -> None:
        """An operator's or scenario's command. Raises LaneFull."""
        if not self.control.offer(message):
            raise LaneFull(f"lane control is full ({self.control.limit}): try again")
        self.on_arrival()

    def fact_nowait(self, message: object) -> bool:
        """A venue fact when the caller cannot wait; False when there is no room (not shed)."""
        if self.facts.is_full:
            return False
        self.facts.offer(message)
        self.on_arrival()
        return True

    async def fact(self, message: object) -> None:
        """A venue fact; waits while the lane is full, so that its source stops reading."""
        while not self.fact_nowait(message):
            if self._room_for_facts.is_set():  # one event for all who wait: nobody is forgotten
                self._room_for_facts = trio.Event()
            await self._room_for_facts.wait()

    def market_data(self, message: object) -> bool:
        """Market data; False when it had to be shed (counted, the feed records the gap)."""
        taken = self.market.offer(message)
        self.on_arrival()
        return taken

    def next(self) -> object | None:
        """The next message by priority, or None."""
        for lane in self._lanes:
            if lane.queue:
                message = lane.take()
                if lane is self.local and self._ahead:
                    self._ahead -= 1
                if lane is self.facts and not self._room_for_facts.is_set():
                    self._room_for_facts.set()
                return message
        return None

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes)

    @property
    def has_mail(self) -> bool:
        """Whether any lane holds a message; asked several times a tick, so nothing is counted."""
        local, control, facts, market = self._lanes
        return bool(local.queue or control.queue or facts.queue or market.queue)

    def statistics(self) -> list[LaneStatistics]:
        """Every lane's counters."""
        return [lane.statistics() for lane in self._lanes]
