"""Faults of a scenario: which are in force, and the layer around the venue where messages suffer.

Disk and actor faults are raised from the engine's own fault points. Bounds are counted in
occurrences (`after`, `times`) and in simulated time (`for`).
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

from attrs import define

from actors.chaos.scenario import FaultKind, FaultStep
from actors.runtime.clock import SimulatedClock
from actors.venues.port import SimulatedGateway
from actors.venues.scripted import unavailable
from fsm import facts
from fsm.facts import VenueAnswer, VenueMessage
from fsm.market import MarketData
from fsm.requests import Cancel, Submit, VenueRequest
from fsm.timestamps import SECOND_US

_DELAY_US = SECOND_US
_JUMP_US = 60 * SECOND_US


class ActorCrash(Exception):
    """What an actor raises when a scenario lets it crash."""


@define
class _Active:
    fault: FaultStep
    until_us: int | None
    to_skip: int
    left: int | None


class Faults:
    """What goes wrong at the moment, and what has gone wrong so far."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.occurred: dict[str, int] = {}
        self._active: list[_Active] = []

    def add(self, fault: FaultStep) -> None:
        """In force from now on; a jump of the clock happens at once."""
        now_us = self.clock.now_us()
        if fault.kind is FaultKind.CLOCK_JUMP:
            self.clock.move_to(now_us + (fault.by or _JUMP_US))
            self._count(fault)
            return
        until_us = None if fault.for_ is None else now_us + fault.for_
        self._active.append(_Active(fault, until_us, fault.after, fault.times))

    def take(self, point: str) -> FaultStep | None:
        """The fault that happens at this point now, if any; counts it."""
        now_us = self.clock.now_us()
        for active in self._active:
            over = active.left == 0 or (active.until_us is not None and now_us >= active.until_us)
            if active.fault.on != point or over:
                continue
            if active.to_skip:
                active.to_skip -= 1
                continue
            if active.left is not None:
                active.left -= 1
            self._count(active.fault)
            return active.fault
        return None

    def _count(self, fault: FaultStep) -> None:
        key = f"{fault.kind}/{fault.on}"
        self.occurred[key] = self.occurred.get(key, 0) + 1

    # -------------------------------------------------------------------------- the engine's hooks

    def before_commit(self) -> None:
        """The disk: raises what SQLite or the system would."""
        fault = self.take("disk")
        if fault is None:
            return
        if fault.kind is FaultKind.SLOW_DISK:
            self.clock.move_to(self.clock.now_us() + (fault.by or _DELAY_US))
        elif fault.kind is FaultKind.DISK_FULL:
            raise OSError(errno.ENOSPC, "No space left on device")
        else:
            raise sqlite3.OperationalError("disk I/O error")

    def before_decide(self, address: str, message: object) -> None:
        """An actor that is about to decide."""
        if self._active and self.take(f"actor:{address}") is not None:
            raise ActorCrash(f"{address} crashed over {type(message).__name__}")


class FaultyVenue:
    """A `SimulatedGateway` around another one: requests and messages are lost, late, doubled,
    out of order or unreadable while a fault says so. Also counts submits that left, by id."""

    def __init__(self, venue: SimulatedGateway, faults: Faults, clock: SimulatedClock) -> None:
        self.venue, self.faults, self.clock = venue, faults, clock
        self.name = venue.name
        self.submits: dict[str, int] = {}
        self._late: list[tuple[int, int, bool, Any]] = []
        self._sequence = 0
        self._outbox: list[VenueMessage] = []
        self._swapped: dict[str, Any] = {}

    # -------------------------------------------------------------------------------------- port

    def send(self, request: VenueRequest) -> None:
        """Out, if the network lets it."""
        if isinstance(request, Submit):
            order_id = request.client_order_id
            self.submits[order_id] = self.submits.get(order_id, 0) + 1
        point = (
            "submit"
            if isinstance(request, Submit)
            else "cancel"
            if isinstance(request, Cancel)
            else "query"
        )
        fault = self.faults.take(point)
        if fault is not None and fault.kind is FaultKind.CORRUPT:
            self._unreadable(request)
            return
        for passed in self._suffer(request, fault, point, outwards=True):
            self.venue.send(passed)

    def market(self, data: MarketData, now_us: int) -> None:
        """Market data is not the network's."""
        self.venue.market(data, now_us)

    def next_due_us(self) -> int | None:
        """The venue's next moment, or that of a late message."""
        moments = [self._late[0][0]] if self._late else []
        if self._outbox:
            moments.append(self.clock.now_us())
        due = self.venue.next_due_us()
        return min([*moments, due]) if due is not None else min(moments, default=None)

    def advance(self, now_us: int) -> Sequence[VenueMessage]:
        """What arrives up to now."""
        arrived, self._outbox = self._outbox, []
        while self._late and self._late[0][0] <= now_us:
            _, _, outwards, late = heappop(self._late)
            self._swapped = {k: v for k, v in self._swapped.items() if v is not late}
            if outwards:
                self.venue.send(late)
            else:
                arrived.append(late)
        for message in self.venue.advance(now_us):
            if isinstance(message, VenueAnswer):
                arrived.append(message)
                continue
            fault = self.faults.take("stream")
            if fault is not None and fault.kind is FaultKind.CORRUPT:
                # A frame that cannot be read: the reader drops the session and builds a new one.
                arrived += [facts.VenueDisconnected(reason="unreadable frame")]
                arrived += [facts.VenueConnected()]
            else:
                arrived += self._suffer(message, fault, "stream", outwards=False)
        return arrived

    # ------------------------------------------------------------------------------------ inside

    def _suffer(
        self, item: Any, fault: FaultStep | None, point: str, *, outwards: bool
    ) -> list[Any]:
        """What goes on at once, after the fault."""
        kind = fault.kind if fault is not None else None
        if kind is FaultKind.DROP:
            return []
        if kind is FaultKind.DUPLICATE:
            return [item, item]
        if fault is not None and kind in (FaultKind.DELAY, FaultKind.REORDER):
            self._sequence += 1
            due_us = self.clock.now_us() + (fault.by or _DELAY_US)
            heappush(self._late, (due_us, self._sequence, outwards, item))
            if kind is FaultKind.REORDER:
                self._swapped[point] = item
            return []
        overtaken = self._swapped.pop(point, None)
        if overtaken is None:
            return [item]
        self._late = [entry for entry in self._late if entry[3] is not overtaken]
        self._late.sort(key=lambda entry: entry[:2])
        return [item, overtaken]

    def _unreadable(self, request: VenueRequest) -> None:
        """The answer cannot be parsed: nobody can tell whether it was carried out (L4)."""
        reason = "unreadable answer"
        if isinstance(request, Submit):
            self.venue.send(request)
            self._outbox.append(
                facts.OutcomeUnknown(client_order_id=request.client_order_id, reason=reason)
            )
        elif isinstance(request, Cancel):
            self.venue.send(request)
            self._outbox.append(
                facts.CancelUnanswered(client_order_id=request.client_order_id, reason=reason)
            )
        else:
            self._outbox.append(unavailable(request, reason))
