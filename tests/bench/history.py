"""Long histories, made quickly: real lives of orders, cut from a journal, copied and renamed.

An engine in simulated time lives each kind once; what it journaled is the pattern. Copies go
straight into the journal with a right hash chain (tables are not maintained), or as events into an
engine's books. Nothing here knows what the events mean.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from actors.engine import Engine
from actors.messages import BookCapital, RequestExit
from actors.simulation import Simulation
from fsm.facts import FillSettled, FillVoided, FundingPaid, VenueMessage
from fsm.vocabulary import CapitalKind, ExitReason, OrderType
from storage.inserts import insert
from storage.journal import Head, chain, write_head
from storage.writer import open_writing_connection
from tests.bench.driving import market_order, place_all, quote_at, simulated
from tests.bench.sizes import ASK, BID, QUOTE_PRICE, START_US

_NAMES = (
    "client_order_id",
    "position_id",
    "venue_order_id",
    "trade_id",
    "funding_id",
    "ref",
)
_FAR = Decimal(1_000)
_ROWS_A_COMMIT = 20_000
_COPIES_MAX = 10_000_000


@frozen
class Row:
    """One event of a pattern, as the journal has it and as the books take it."""

    stream: str
    kind: str
    payload: str
    event: Any


@frozen
class Pattern:
    """A life as it was journaled, and the names in it that each copy needs of its own."""

    rows: tuple[Row, ...]
    names: tuple[str, ...]
    keys: tuple[tuple[str, int], ...]
    """Dedup keys, each with the index of its row."""
    identities: tuple[tuple[str, str, int], ...]

    def renaming(self, number: int) -> dict[str, str]:
        """The names of copy `number`; it may not be used twice in one journal."""
        assert 0 <= number < _COPIES_MAX
        return {
            name: f"H{number:07d}{'abcdefghijklmnop'[at]}" for at, name in enumerate(self.names)
        }

    def events(self, number: int) -> list[Any]:
        """The copy's events, for an engine's books."""
        new = self.renaming(number)
        return [
            attrs.evolve(
                row.event,
                **{
                    name: new[value]
                    for name in _NAMES
                    if (value := getattr(row.event, name, None)) in new
                },
            )
            for row in self.rows
        ]


def ended_life() -> Pattern:
    """An entry at the market with a stop and a target, its target crossed, its exit filled."""

    def live(engine: Engine, simulation: Simulation) -> None:
        order = market_order(1, stop=BID - _FAR, take_profit=BID + _FAR)
        place_all(simulation, [order])
        simulation.feed(quote_at(START_US + 1_000_000, BID + 2 * _FAR, ASK + 2 * _FAR))
        assert not engine.world.positions, "the position did not close"

    return _cut(live)


def open_position() -> Pattern:
    """A market entry that was filled and stays, with a stop and a target."""

    def live(engine: Engine, simulation: Simulation) -> None:
        place_all(simulation, [market_order(1, stop=BID - _FAR, take_profit=BID + _FAR)])
        assert len(engine.world.positions) == 1

    return _cut(live)


def working_entry() -> Pattern:
    """A limit entry that rests at the venue: an order and its position, both waiting."""

    def live(engine: Engine, simulation: Simulation) -> None:
        order = attrs.evolve(
            market_order(1, stop=QUOTE_PRICE - _FAR), type=OrderType.LIMIT, limit_price=QUOTE_PRICE
        )
        place_all(simulation, [order])
        assert len(engine.world.orders) == 1

    return _cut(live)


def eventful_life() -> Pattern:
    """Everything that moves an account: an entry and its exit, each fill settled with another fee,
    a fill that is voided, funding, a deposit and a withdrawal."""

    def live(engine: Engine, simulation: Simulation) -> None:
        def trade_of(order_id: str) -> str:
            (name,) = engine.books.order(order_id).trades  # type: ignore[union-attr]
            return str(name)

        def say(*messages: VenueMessage) -> None:
            for message in messages:
                engine.inbox.facts.offer(message)
            simulation.settle()

        kept, gone = market_order(1), market_order(2)
        place_all(simulation, [kept, gone])
        say(FundingPaid(instrument=kept.instrument, amount=Decimal("-0.01"), funding_id="paid-1"))
        for order in (kept, gone):
            ids = {"client_order_id": order.client_order_id}
            trade = trade_of(order.client_order_id)
            say(FillSettled(trade_id=trade, fee=Decimal("0.02"), **ids))
        say(FillVoided(trade_id=trade, client_order_id=gone.client_order_id))
        place_all(simulation, [RequestExit(kept.client_order_id, ExitReason.OPERATOR)])
        simulation.settle()
        for kind, ref in ((CapitalKind.DEPOSIT, "wire-in"), (CapitalKind.WITHDRAWAL, "wire-out")):
            place_all(
                simulation, [BookCapital(kind=kind, asset="USDT", amount=Decimal(50), ref=ref)]
            )
        simulation.settle()
        assert not engine.world.positions, "a position did not close"

    return _cut(live)


def _cut(live: Callable[[Engine, Simulation], None]) -> Pattern:
    """Let an engine live it, and cut it out of the journal."""
    with tempfile.TemporaryDirectory(prefix="holdfast-pattern-") as folder:
        engine, simulation = simulated(Path(folder))
        start = engine.writer.head.seq
        live(engine, simulation)
        conn = engine.writer.conn
        sql = "SELECT payload FROM journal WHERE seq > ? ORDER BY seq"
        payloads = [payload for (payload,) in conn.execute(sql, (start,))]
        recorded = list(engine.reader.events(start))
        keys = conn.execute("SELECT key, seq FROM dedup_keys WHERE seq > ?", (start,)).fetchall()
        identities = conn.execute(
            "SELECT venue_order_id, client_order_id, seq FROM identities WHERE seq > ?", (start,)
        ).fetchall()
        engine.close()
    names = {
        value: None
        for each in recorded
        for name in _NAMES
        if (value := getattr(each.event, name, None))
    }
    return Pattern(
        rows=tuple(
            Row(each.stream, type(each.event).__name__, payload, each.event)
            for each, payload in zip(recorded, payloads, strict=True)
        ),
        names=tuple(sorted(names, key=lambda name: -len(name))),
        keys=tuple((key, seq - start - 1) for key, seq in keys),
        identities=tuple((venue, order, seq - start - 1) for venue, order, seq in identities),
    )


def write_history(
    database: Path, patterns: Sequence[Pattern], *, until_seq: int, first: int = 0
) -> int:
    """Append copies of the patterns, in turn, until the journal has `until_seq` events or more.

    No engine may have the database open. Copies are numbered from `first`; returns the next free
    number. Each life is one turn; tables are left behind, the engine catches them up.
    """
    conn = open_writing_connection(database)
    seq, previous, turn, at_us = conn.execute(
        "SELECT seq, hash, turn, at_us FROM journal ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    number = first
    while seq < until_seq:
        rows: list[object] = []
        keys: list[object] = []
        identities: list[object] = []
        while seq < until_seq and len(rows) < 7 * _ROWS_A_COMMIT:
            pattern = patterns[number % len(patterns)]
            new = pattern.renaming(number)
            number, turn, start = number + 1, turn + 1, seq + 1
            for row in pattern.rows:
                seq += 1
                stream, payload = row.stream, row.payload
                for old, name in new.items():
                    stream, payload = stream.replace(old, name), payload.replace(old, name)
                previous = chain(previous, seq, turn, at_us, stream, row.kind, payload.encode())
                rows += (seq, turn, at_us, stream, row.kind, payload, previous)
            for key, index in pattern.keys:
                for old, name in new.items():
                    key = key.replace(old, name)
                keys += (key, start + index)
            for venue_id, order_id, index in pattern.identities:
                identities += (new[venue_id], new[order_id], start + index)
        conn.execute("BEGIN IMMEDIATE")
        insert(conn, "journal (seq, turn, at_us, stream, type, payload, hash)", 7, rows)
        insert(conn, "dedup_keys (key, seq)", 2, keys)
        insert(conn, "identities (venue_order_id, client_order_id, seq)", 3, identities)
        conn.execute("COMMIT")
    conn.close()
    write_head(database, Head(seq, previous, turn))
    return number
