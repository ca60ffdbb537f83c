"""The dispatcher: turns out of lanes, one transaction a turn, effects only after it is durable.

A turn drains messages by priority and lets actors decide; its events are applied at once, so that
the next message sees them, and go to the journal together. The next turn does not wait for the
commit (a bounded number is in flight); the turn's effects do. A failed commit ends journaling for
good: later turns are discarded, only cancels may leave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from attrs import define, field

from actors.effects import CancelTimer, Effect, SetTimer
from actors.runtime.clock import Clock, elapsed_s
from actors.runtime.lanes import Inbox
from actors.runtime.timers import TimerHeap
from fsm.events import Event
from storage.writer import Journal, JournalFailed, TurnBatch


@define(slots=True)
class Turn:
    """What one turn has decided so far."""

    number: int
    at_us: int
    first_seq: int
    events: list[Event] = field(factory=list)
    payloads: list[bytes] = field(factory=list)
    effects: list[Effect] = field(factory=list)
    dedup_keys: list[tuple[str, int]] = field(factory=list)
    identities: list[tuple[str, str, int]] = field(factory=list)
    streams: list[str] = field(factory=list)
    ended: dict[str, None] = field(factory=dict)
    """Streams of orders and positions that are over, or were folded back just to be looked at."""
    is_over: bool = False
    """No further message belongs into it: what follows has a commit of its own."""

    @property
    def next_seq(self) -> int:
        """The seq that the next event gets."""
        return self.first_seq + len(self.events)


class Core(Protocol):
    """The application behind the dispatcher."""

    def handle(self, message: object, turn: Turn) -> None:
        """Route one message, record its events and effects in the turn."""

    def look(self, data: object, now_us: int) -> object | None:
        """Take market data in. None when nothing follows from it, as nearly always; else the
        message with what follows, for `handle`."""

    def handed_over(self, turn: Turn) -> None:
        """The turn's events went to the journal: its commit is under way, or done already."""

    def release(self, effect: Effect) -> None:
        """An effect's turn is durable: look again, and let it out."""

    def durable(self, turn: Turn) -> None:
        """The turn is durable (before its effects are released)."""

    def discarded(self, turn: Turn) -> None:
        """The turn will never be durable: none of its effects may count on it."""

    def journal_failed(self, failure: JournalFailed) -> None:
        """Nothing can be journaled any more."""


@define(slots=True)
class DispatcherStatistics:
    """Counters since the start."""

    turns: int = 0
    messages: int = 0
    events: int = 0
    discarded_turns: int = 0
    turn_longest_s: float = 0.0


class Dispatcher:
    """Owns the turn loop's state; `run_turn` is synchronous and whoever owns the time calls it."""

    def __init__(
        self,
        core: Core,
        clock: Clock,
        inbox: Inbox,
        timers: TimerHeap,
        *,
        head_seq: int,
        head_turn: int,
        messages_max: int = 256,
        in_flight_max: int = 4,
    ) -> None:
        self.core, self.clock, self.inbox, self.timers = core, clock, inbox, timers
        self.journal: Journal | None = None
        self.statistics = DispatcherStatistics()
        self.failed: JournalFailed | None = None
        self._messages_max, self._in_flight_max = messages_max, in_flight_max
        self._next_seq, self._turn_number = head_seq + 1, head_turn
        self._in_flight: deque[Turn] = deque()
        self.on_turn: Callable[[Turn, float], None] | None = None

    # --------------------------------------------------------------------------------- turning

    @property
    def in_flight(self) -> int:
        """Turns whose commit, or whose predecessor's commit, is outstanding."""
        return len(self._in_flight)

    def may_turn(self) -> bool:
        """Whether another turn may start (L9)."""
        return len(self._in_flight) < self._in_flight_max

    def has_work(self) -> bool:
        """Whether a message waits or a timer is due."""
        if self.inbox.has_mail:
            return True
        due = self.timers.next_due_us()
        return due is not None and due <= self.clock.now_us()

    def run_turn(self) -> bool:
        """One turn; False when there was nothing to do."""
        now_us = self.clock.now_us()
        turn = Turn(self._turn_number + 1, now_us, self._next_seq)
        started, handled = elapsed_s(), 0
        handle, next_message, local = self.core.handle, self.inbox.next, self.inbox.local.queue
        # The time stands still within a turn, and its timers are armed when it is over: once none
        # is due, none will be.
        timers_due = True
        while handled < self._messages_max and not turn.is_over:
            message: object | None = None
            if timers_due and not local:
                message = self.timers.pop_due(now_us)
                timers_due = message is not None
            if message is None:
                message = next_message()
                if message is None:
                    break
            handled += 1
            handle(message, turn)
        if not handled:
            return False
        took = elapsed_s() - started
        self.statistics.turns += 1
        self.statistics.messages += handled
        self.statistics.turn_longest_s = max(self.statistics.turn_longest_s, took)
        self._hand_over(turn)
        if self.on_turn is not None:
            self.on_turn(turn, took)
        return True

    def take_market(self, data: object) -> bool:
        """Market data while nothing else waits and no timer is due; True when a turn was needed.

        Most of it crosses no level and makes no signal: then there is nothing to record, and no
        turn either.
        """
        self.inbox.market.accepted += 1
        follows = self.core.look(data, self.clock.now_us())
        if follows is None:
            self.statistics.messages += 1
            return False
        self.inbox.tell_local(follows)
        return self.run_turn()

    def _hand_over(self, turn: Turn) -> None:
        outward: list[Effect] = []
        for effect in turn.effects:
            if type(effect) is SetTimer:
                self.timers.set(effect.key, turn.at_us + effect.delay_us, effect.message)
            elif type(effect) is CancelTimer:
                self.timers.cancel(effect.key)
            else:
                outward.append(effect)
        turn.effects = outward
        if self.failed is not None:
            self._discard(turn)
            return
        if not turn.events and not self._in_flight:
            self._release(turn)
            return
        self._in_flight.append(turn)
        if turn.events:
            self._turn_number, self._next_seq = turn.number, turn.next_seq
            self.statistics.events += len(turn.events)
            self._append(turn)

    def _append(self, turn: Turn) -> None:
        assert self.journal is not None, "the dispatcher needs a journal before its first turn"
        batch = TurnBatch(
            turn=turn.number,
            first_seq=turn.first_seq,
            at_us=turn.at_us,
            events=tuple(turn.events),
            payloads=tuple(turn.payloads),
            streams=tuple(turn.streams),
            dedup_keys=tuple(turn.dedup_keys),
            identities=tuple(turn.identities),
        )
        try:
            self.journal.append(batch)
        except JournalFailed as failure:
            self.on_journal_failed(failure)
        else:
            self.core.handed_over(turn)

    # ------------------------------------------------------------------------------- releasing

    def on_durable(self, turn_number: int) -> None:
        """All turns up to this number are durable: let their effects out, in order."""
        while self._in_flight:
            turn = self._in_flight[0]
            if turn.events and turn.number > turn_number:
                return
            self._in_flight.popleft()
            self._release(turn)

    def _release(self, turn: Turn) -> None:
        self.core.durable(turn)
        for effect in turn.effects:
            self.core.release(effect)

    def on_journal_failed(self, failure: JournalFailed) -> None:
        """Poisoned: what was not durable never happened; nothing of it leaves."""
        if self.failed is not None:
            return
        self.failed = failure
        discarded, self._in_flight = self._in_flight, deque()
        self.core.journal_failed(failure)
        for turn in discarded:
            self._discard(turn)

    def _discard(self, turn: Turn) -> None:
        self.statistics.discarded_turns += 1
        self.core.discarded(turn)
