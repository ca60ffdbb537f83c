"""The real core on a journal in memory, small enough to be copied thousands of times a second.

System, books, dispatcher, release and every actor are the ones that trade. Ours are the journal
(commits when it is told to, dies where it is told to), the clock, and the wire, which only keeps
what left. A copy is a pickle of the whole graph, so that state which somebody adds is copied too.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any

from attrs import define, evolve, field, frozen

from actors import messages as msg
from actors.entities.order import Order, created
from actors.registry import Books
from actors.release import Release
from actors.runtime.clock import SimulatedClock
from actors.runtime.dispatcher import Dispatcher
from actors.runtime.ids import IdSource
from actors.runtime.lanes import Inbox
from actors.runtime.timers import TimerHeap
from actors.system import System
from actors.world import Rules, World
from fsm import events as ev
from fsm.events import Recorded
from fsm.instrument import Instrument
from fsm.order import TERMINAL
from fsm.order import OrderState as S
from fsm.requests import VenueRequest
from fsm.timestamps import SECOND_US
from fsm.vocabulary import TradingMode
from storage.codec import decode
from storage.writer import TurnBatch

START_US = 1_700_000_000 * SECOND_US
ORDER = "a"
PAIR = "XRP/USD"
OPENING = {"USD": Decimal(100), "XRP": Decimal(100)}
SPOT = Instrument(name=PAIR, base="XRP", quote="USD", price_tick=Decimal("0.01"))


def rules(*, answers_s: int, pass_s: int, in_flight_s: int, held_s: int) -> Rules:
    """Times of a few seconds: what matters is which comes first, and small numbers let times meet.

    How long an answer may take, how often a pass runs, how old a proven absence is, and how old an
    order is that a person has to look at.
    """
    return Rules(
        submit_timeout_us=answers_s * SECOND_US,
        cancel_timeout_us=answers_s * SECOND_US,
        query_timeout_us=SECOND_US,
        exit_query_interval_us=SECOND_US,
        open_orders_interval_us=pass_s * SECOND_US,
        balances_interval_us=10**6 * SECOND_US,  # passes over the books are asked for by hand
        unresolved_retry_us=2 * SECOND_US,
        fills_overlap_us=3 * SECOND_US,
        backoff_max_us=pass_s * SECOND_US,
        max_in_flight_us=in_flight_s * SECOND_US,
        age_threshold_us=held_s * SECOND_US,
        stale_after_us=10**15,
        max_position_usd=None,
        max_session_loss=None,
    )


COARSE = rules(answers_s=1, pass_s=1, in_flight_s=2, held_s=3)
ASSUMING = evolve(COARSE, assume_fill_when_young=True)
FINE = rules(answers_s=2, pass_s=2, in_flight_s=3, held_s=6)
_TURNS_MAX = 200
_CANCELLED = {S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE, *TERMINAL}


class Killed(BaseException):
    """The process is gone: nothing of ours may catch this."""


@frozen
class Row:
    """One durable event, as bytes and as what it is."""

    recorded: Recorded
    payload: bytes


@define
class MemoryJournal:
    """Durable rows, and turns on their way. Also the reader: it sees what is durable only."""

    rows: tuple[Row, ...] = ()
    keys: tuple[str, ...] = ()
    identities: tuple[tuple[str, str], ...] = ()
    commits_at_once: bool = True
    pending: deque[TurnBatch] = field(factory=deque)
    committed: int = 0
    dies_at: tuple[int, bool] | None = None
    """(which commit of this step, whether it went through before the end)."""
    dispatcher: Any = None
    broken: list[str] = field(factory=list)

    def append(self, batch: TurnBatch) -> None:
        self.pending.append(batch)
        if self.commits_at_once:
            self.commit()

    def commit(self) -> None:
        """The oldest turn becomes durable, whole or not at all, and is told."""
        batch = self.pending.popleft()
        self.committed += 1
        if self.dies_at == (self.committed, False):
            raise Killed
        self._write(batch)
        if self.dies_at == (self.committed, True):
            raise Killed
        self.dispatcher.on_durable(batch.turn)

    def _write(self, batch: TurnBatch) -> None:
        rows = [
            Row(Recorded(batch.first_seq + n, batch.turn, batch.at_us, event.stream, event), data)
            for n, (event, data) in enumerate(zip(batch.events, batch.payloads, strict=True))
        ]
        self.rows += tuple(rows)
        fills = [r.recorded.seq for r in rows if type(r.recorded.event).__name__ == "OrderFilled"]
        fill_keys = [key for key, _ in batch.dedup_keys if "|fill|" in key]
        if len(fills) != len(fill_keys):
            self.broken.append(f"L5: {len(fills)} fills and {len(fill_keys)} keys in one turn")
        if any(key in self.keys for key, _ in batch.dedup_keys):
            self.broken.append("L5: a dedup key was written twice")
        self.keys += tuple(key for key, _ in batch.dedup_keys)
        known = dict(self.identities)
        news = [(v, o) for v, o, _ in batch.identities if v not in known]
        self.identities += tuple(news)

    # ------------------------------------------------------------------------------ as the reader

    def events(self, after: int = 0, *, stream: str | None = None) -> Iterator[Recorded]:
        for row in self.rows:
            if row.recorded.seq > after and stream in (None, row.recorded.stream):
                yield row.recorded

    def has_stream(self, stream: str) -> bool:
        return any(row.recorded.stream == stream for row in self.rows)

    def has_dedup_key(self, key: str) -> bool:
        return key in self.keys

    def client_order_id(self, venue_order_id: str) -> str | None:
        return dict(self.identities).get(venue_order_id)


@define
class Wire:
    """What left for the venue since somebody looked, checked as it left (L1)."""

    journal: MemoryJournal
    name: str = "model"
    out: list[VenueRequest] = field(factory=list)

    def send(self, request: VenueRequest) -> None:
        self.out.append(request)
        kind, order_id = type(request).__name__, getattr(request, "client_order_id", None)
        if order_id is None or kind == "QueryOrder":
            return
        states = [getattr(r.event, "state", None) for r in self.journal.events(
            stream=f"order/{order_id}")]  # fmt: skip
        if not states:
            self.journal.broken.append(f"L1: a {kind} left before its intent was durable")
        elif kind == "Cancel" and states[-1] not in _CANCELLED:
            self.journal.broken.append(f"L1: a cancel left while the journal says {states[-1]}")


class _NobodyWaits:
    """In place of an event of trio's: no task waits for room here."""

    def is_set(self) -> bool:
        return True


def _nothing(*_: object) -> None:
    return None


def folded_order(core: Core) -> Order | None:
    """The order as its stream tells it, turns on their way included; nothing is put into memory."""
    order: Order | None = None
    events = [(row.recorded.event, row.recorded.at_us) for row in core.journal.rows]
    events += [(event, turn.at_us) for turn in core.journal.pending for event in turn.events]
    for event, at_us in events:
        if event.stream != f"order/{ORDER}":
            continue
        if isinstance(event, ev.OrderIntended):
            order = created(event, at_us)
        elif order is not None:
            order.evolve(event)
            order.note_time(event, at_us)
    return order


def _day_start_pnl(books: Books) -> Decimal:
    return books.door.start_of_day(books.world.now_us, books._net())


class Core:
    """One incarnation of the engine: folded from what is durable, its session started."""

    def __init__(self, journal: MemoryJournal, now_us: int, incarnation: int, rules: Rules) -> None:
        self.journal, self.clock, self.incarnation = journal, SimulatedClock(now_us), incarnation
        world = World(rules=rules, ids=IdSource(f"s{incarnation}"))
        self.world, self.books = world, Books(world, None)
        self.books.seen_orders, self.books.seen_positions = set(), set()
        turn = 0
        for row in journal.rows:
            at = row.recorded
            event = decode(type(at.event).__name__, row.payload)
            self.books.fold(event, at.seq, at.turn, at.at_us)
            turn = at.turn
        self.books.reader = journal
        self.inbox = Inbox(control_max=100, facts_max=100, market_max=100)
        self.inbox.on_arrival, self.inbox._room_for_facts = _nothing, _NobodyWaits()
        self.timers, self.wire = TimerHeap(), Wire(journal)
        release = Release(world, self.inbox, self.wire)
        release.answer = _nothing
        self.system = System(self.books, self.inbox, release, [])
        self.system.on_journal_failed = _nothing
        # What the engine asks through closures, as something that can be copied.
        world.is_connected = partial(getattr, release, "connected")
        world.day_start_pnl = partial(_day_start_pnl, self.books)
        self.dispatcher = Dispatcher(
            self.system, self.clock, self.inbox, self.timers,
            head_seq=len(journal.rows), head_turn=turn, in_flight_max=2,
        )  # fmt: skip
        self.dispatcher.journal = journal
        journal.dispatcher = self.dispatcher

    def start(self) -> None:
        """The session's first turn, as `Engine.start` asks for it."""
        opening = dict(OPENING) if not self.journal.rows else None
        self.inbox.tell_local(
            msg.StartSession(
                session_id=f"s{self.incarnation}", mode=TradingMode.PAPER, venue="model",
                holder="model", version="0", seed=1, instruments=(SPOT,), strategies=(),
                opening=opening,
            )
        )  # fmt: skip
        self.settle()

    def settle(self) -> None:
        """Turns until nothing is runnable, or until the journal has to catch up first."""
        dispatcher = self.dispatcher
        for _ in range(_TURNS_MAX):
            if not (dispatcher.may_turn() and dispatcher.has_work() and dispatcher.run_turn()):
                return
        self.journal.broken.append("L9: the core does not come to rest")

    def hear(self, message: object) -> None:
        """A venue message arrives."""
        self.inbox.facts.offer(message)
        self.settle()

    def do(self, command: object) -> None:
        """A command of the operator or of a guard."""
        self.inbox.command(command)
        self.settle()

    def next_due_us(self) -> int | None:
        """When the next timer is due."""
        return self.timers.next_due_us()

    def let_time_pass(self) -> None:
        """Up to the next timer, which fires."""
        due = self.timers.next_due_us()
        assert due is not None
        self.clock.move_to(due)
        self.settle()

    # --------------------------------------------------------------------------------- copying

    def frozen(self) -> tuple[bytes, tuple[Any, ...]]:
        """A copy: the graph as bytes, beside it the rows, which never change."""
        journal = self.journal
        kept = (journal.rows, journal.keys, journal.identities)
        journal.rows = journal.keys = journal.identities = ()
        try:
            return pickle.dumps(self, pickle.HIGHEST_PROTOCOL), kept
        finally:
            journal.rows, journal.keys, journal.identities = kept

    @staticmethod
    def thawed(copy: tuple[bytes, tuple[Any, ...]]) -> Core:
        """A running core out of a copy."""
        core: Core = pickle.loads(copy[0])
        core.journal.rows, core.journal.keys, core.journal.identities = copy[1]
        return core
