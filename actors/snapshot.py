"""Snapshots of the fold: a file beside the database from which a start goes on (L7).

A snapshot is derived: it is made by folding the journal (never from a running engine's memory),
holds the hash of the row that it stands on, and is ignored when it is damaged, when the row is not
on the chain, or when other code made it. `holdfast verify` folds from nothing and compares.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections import deque
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec
from attrs import define, field

import actors.entities
import actors.reconciling
import fsm
import fsm.events
import storage
from actors.entities.mode import Mode
from actors.entities.order import Order
from actors.entities.position import Position
from actors.entities.sizer import Results, Trades
from actors.guards.latch import Latch
from actors.registry import Books
from actors.world import Session
from fsm.events import MessageUnprocessed
from fsm.instrument import Instrument
from storage.journal import Head, JournalReader
from storage.ledger import Ledger

_FORMAT = 1


class SnapshotUnusable(Exception):
    """It cannot be used, and why; the whole journal is folded instead."""


@define(slots=True, kw_only=True)
class BooksState:
    """Everything that the fold has built, as plain data."""

    at_us: int
    money_version: int
    session: Session
    instruments: dict[str, Instrument]
    orders: list[Order]
    positions: list[Position]
    open_of_strategy: list[tuple[str, str, int]]
    ledger: Ledger
    mode: Mode
    latches: dict[str, Latch]
    entries_at: list[int]
    day: int
    day_start_pnl: Decimal
    refusals: dict[str, int]
    watermarks: dict[str, int]
    truth_status: str
    truth_deltas: dict[str, str]
    truth_accepted: dict[str, str]
    opened_us: int
    inferred: dict[str, int]
    unprocessed: dict[str, list[MessageUnprocessed]]
    last_session_clean: bool
    last_truth: str | None
    venue_ids: dict[str, str]
    missed: list[str]
    trades: Trades
    sizer_results: Results
    gaps: dict[str, int] = field(factory=dict)
    unresolved: dict[str, list[int]] = field(factory=dict)
    unpriced_closes: dict[str, list[str]] = field(factory=dict)
    seen_orders: bytes = b""
    seen_positions: bytes = b""


_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_decode = msgspec.msgpack.Decoder(BooksState).decode


def snapshot_path(database: Path | str) -> Path:
    """Where the snapshot of a database is: beside it. It may be deleted at any time."""
    return Path(f"{database}.snapshot")


def captured(books: Books) -> bytes:
    """The state of folded books; equal folds give equal bytes."""
    world, door, reconciler = books.world, books.door, books.reconciler
    return _encode(
        BooksState(
            at_us=world.now_us,
            money_version=world.money_version,
            session=world.session,
            instruments=world.instruments,
            orders=list(world.orders.values()),
            positions=list(world.positions.values()),
            open_of_strategy=[(s, i, n) for (s, i), n in world.open_of_strategy.items()],
            ledger=world.ledger,
            mode=books.mode,
            latches=dict(books.latches),
            entries_at=list(door.entries_at),
            day=door.day,
            day_start_pnl=door.day_start_pnl,
            refusals=door.refusals,
            watermarks=reconciler.watermarks,
            truth_status=reconciler.truth.status,
            truth_deltas=reconciler.truth.deltas,
            truth_accepted=reconciler.truth.accepted,
            opened_us=reconciler.opened_us,
            inferred=reconciler.inferred,
            unprocessed=books.unprocessed,
            last_session_clean=books.last_session_clean,
            last_truth=books.last_truth,
            venue_ids=books.venue_ids,
            missed=list(books.missed),
            trades=books.trades,
            sizer_results=world.sizer.results,
            unresolved=books.unresolved,
            unpriced_closes=books.unpriced_closes,
            gaps={name: view.gaps for name, view in world.markets.items() if view.gaps},
            seen_orders=zlib.compress(books.seen_orders.bits, 1),
            seen_positions=zlib.compress(books.seen_positions.bits, 1),
        )
    )


def restored(data: bytes, books: Books, seq: int) -> None:
    """Put a captured state into empty books. Raises SnapshotUnusable."""
    try:
        state = _decode(data)
        seen = zlib.decompress(state.seen_orders), zlib.decompress(state.seen_positions)
        if {len(bits) for bits in seen} != {len(books.seen_orders.bits)}:
            raise ValueError("the memory of names has another size")
        books.seen_orders.bits, books.seen_positions.bits = map(bytearray, seen)
    except (msgspec.MsgspecError, zlib.error, ValueError) as problem:
        raise SnapshotUnusable(f"it cannot be read: {problem}") from problem
    world, door, reconciler = books.world, books.door, books.reconciler
    world.now_us, world.seq, world.money_version = state.at_us, seq, state.money_version
    world.session, world.instruments, world.ledger = state.session, state.instruments, state.ledger
    world.orders |= {order.client_order_id: order for order in state.orders}
    for position in state.positions:
        world.positions[position.position_id] = position
        world.by_instrument.setdefault(position.instrument, {})[position.position_id] = None
    world.open_of_strategy |= {(s, i): n for s, i, n in state.open_of_strategy}
    books.mode = state.mode
    books.latches.restore(state.latches)
    world.strategies_off = books.latches.strategies_off
    world.episodes = books.mode.episodes
    world.mode, world.control = state.mode.state, state.mode.control
    world.sources = frozenset(state.mode.sources)
    world.halt_reason = state.mode.halt_reason
    door.entries_at, door.day = deque(state.entries_at), state.day
    door.day_start_pnl, door.refusals = state.day_start_pnl, state.refusals
    reconciler.watermarks = state.watermarks
    truth = reconciler.truth
    truth.status, truth.deltas = state.truth_status, state.truth_deltas
    truth.accepted, reconciler.opened_us = state.truth_accepted, state.opened_us
    reconciler.inferred = state.inferred
    books.unprocessed, books.venue_ids = state.unprocessed, state.venue_ids
    books.last_session_clean, books.last_truth = state.last_session_clean, state.last_truth
    books.unresolved, books.unpriced_closes = state.unresolved, state.unpriced_closes
    books.missed |= dict.fromkeys(state.missed)
    books.trades, world.sizer.results = state.trades, state.sizer_results
    for name, gaps in state.gaps.items():
        books.markets.view(name).gaps = gaps


# ---------------------------------------------------------------------------------------- the file


@define(slots=True, kw_only=True)
class _Header:
    format: int
    code: str
    seq: int
    turn: int
    hash: str
    digest: str


def write_snapshot(database: Path | str, books: Books, head: Head) -> int:
    """Keep the books as they are at `head`, whole or not at all; returns the bytes written.

    Raises OSError, and SnapshotUnusable when the code was replaced since it folded them.
    """
    if _fingerprint() != code_fingerprint():
        raise SnapshotUnusable("the code was replaced while it folded")
    data = captured(books)
    header = _Header(
        format=_FORMAT,
        code=code_fingerprint(),
        seq=head.seq,
        turn=head.turn,
        hash=head.hash.hex(),
        digest=hashlib.sha256(data).hexdigest(),
    )
    path = snapshot_path(database)
    temporary = Path(f"{path}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        written = file.write(msgspec.json.encode(header) + b"\n") + file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return written


def read_snapshot(database: Path | str, reader: JournalReader) -> tuple[Head, bytes]:
    """The row that the snapshot stands on, and the state. Raises SnapshotUnusable."""
    try:
        first, _, data = snapshot_path(database).read_bytes().partition(b"\n")
        header = msgspec.json.decode(first, type=_Header)
    except FileNotFoundError:
        raise SnapshotUnusable("there is none") from None
    except (OSError, msgspec.MsgspecError) as problem:
        raise SnapshotUnusable(f"it cannot be read: {problem}") from problem
    if (header.format, header.code) != (_FORMAT, code_fingerprint()):
        raise SnapshotUnusable("other code made it")
    if header.digest != hashlib.sha256(data).hexdigest():
        raise SnapshotUnusable("it is damaged")
    row = reader.conn.execute("SELECT hash FROM journal WHERE seq = ?", (header.seq,)).fetchone()
    if row is None or bytes(row[0]).hex() != header.hash:
        raise SnapshotUnusable("it is not of this journal")
    return Head(header.seq, bytes(row[0]), header.turn), data


def snapshot_seq(database: Path | str) -> int:
    """Up to which event the snapshot goes; 0 when there is none that can be read."""
    try:
        with snapshot_path(database).open("rb") as file:
            return int(json.loads(file.readline())["seq"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


@cache
def code_fingerprint() -> str:
    """A hash of the code that folds, as it was when this process first asked: a snapshot of other
    code may hold another mistake."""
    return _fingerprint()


def _fingerprint() -> str:
    digest = hashlib.sha256()
    folders = [*fsm.__path__, *fsm.events.__path__, *storage.__path__, *actors.entities.__path__]
    folders += actors.reconciling.__path__
    folders.append(str(Path(actors.entities.__path__[0]).parent))
    for folder in folders:
        for source in sorted(Path(folder).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()
