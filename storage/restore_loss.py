"""What a restore would lose: the events that only the present database has, in a person's words.

Compares two journals by their hash chains and reads; both may be live. A present database that is
damaged is told as far as it can be read.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from attrs import frozen

from storage.backup import Examined
from storage.copying import pinned
from storage.journal import Head, JournalDamaged, JournalReader, read_head
from storage.schema import SchemaTooNew, version_of

_ENDED = ("CLOSED", "CANCELLED_BY_ENGINE")


@frozen(slots=True, kw_only=True)
class Loss:
    """The present database's events behind what both have; times are UTC microseconds.

    `problem` says why that is not the whole story: the present database cannot be read to its end.
    """

    common_seq: int
    """The last event that both have; 0 when they have nothing in common."""
    last_seq: int
    """The present one's last event, as far as it can be read or was acknowledged."""
    first_at_us: int = 0
    last_at_us: int = 0
    orders: int = 0
    fills: int = 0
    capital_events: int = 0
    open_positions: tuple[str, ...] = ()
    """Open now, with something that the backup does not know of them."""
    closed_positions: tuple[str, ...] = ()
    """Closed since: the backup believes them to be open."""
    problem: str = ""

    @property
    def is_nothing(self) -> bool:
        """The backup holds all that the present database does."""
        return self.last_seq <= self.common_seq and not self.problem


def loss(database: Path, source: Examined) -> Loss:
    """What only `database` has. Never raises: what cannot be read is the `problem`."""
    acknowledged, problem = _acknowledged(database)
    try:
        with pinned(database) as conn, pinned(source.path) as kept:
            return _compared(conn, kept, source.head, acknowledged, problem)
    except (FileNotFoundError, JournalDamaged, SchemaTooNew, sqlite3.Error) as unreadable:
        problem = problem or f"the present database cannot be read: {unreadable}"
    known = min(acknowledged, source.head.seq)
    return Loss(common_seq=known, last_seq=acknowledged, problem=problem)


def _acknowledged(database: Path) -> tuple[int, str]:
    try:
        kept = read_head(database)
    except JournalDamaged as damage:
        return 0, str(damage)
    return (kept.seq if kept is not None else 0), ""


def _compared(
    conn: sqlite3.Connection, kept: sqlite3.Connection, head: Head, acknowledged: int, problem: str
) -> Loss:
    if version_of(conn) == 0:
        text = "the present file holds no journal"
        return Loss(common_seq=0, last_seq=acknowledged, problem=problem or text)
    present = JournalReader(conn).head()
    common = common_seq(conn, kept, min(present.seq, head.seq))
    last = max(present.seq, acknowledged)
    if present.seq < acknowledged:
        problem = f"it ends at seq {present.seq}, but seq {acknowledged} was acknowledged"
    behind = (common,)
    first_at, last_at = conn.execute(
        "SELECT coalesce(min(at_us), 0), coalesce(max(at_us), 0) FROM journal WHERE seq > ?", behind
    ).fetchone()
    counts: dict[str, int] = dict(
        conn.execute("SELECT type, count(*) FROM journal WHERE seq > ? GROUP BY type", behind)
    )
    opened, closed = _positions(conn, common)
    return Loss(
        common_seq=common,
        last_seq=last,
        first_at_us=first_at,
        last_at_us=last_at,
        orders=counts.get("OrderIntended", 0),
        fills=counts.get("OrderFilled", 0),
        capital_events=sum(n for kind, n in counts.items() if kind.startswith("Capital")),
        open_positions=opened,
        closed_positions=closed,
        problem=problem,
    )


def common_seq(one: sqlite3.Connection, other: sqlite3.Connection, at_most: int) -> int:
    """The last event that two journals have in common: equal hashes mean equal histories."""
    low, high = 0, at_most
    while low < high:
        middle = (low + high + 1) // 2
        if _hash(one, middle) == _hash(other, middle) is not None:
            low = middle
        else:
            high = middle - 1
    return low


def _hash(conn: sqlite3.Connection, seq: int) -> bytes | None:
    row = conn.execute("SELECT hash FROM journal WHERE seq = ?", (seq,)).fetchone()
    return None if row is None else bytes(row[0])


def _positions(conn: sqlite3.Connection, after: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Positions that something happened to: those open now, and older ones that ended since."""
    state: dict[str, str] = {}
    opened: set[str] = set()
    rows = conn.execute(
        "SELECT stream, type, json_extract(payload, '$.state') FROM journal "
        "WHERE seq > ? AND type IN ('PositionOpened', 'PositionChanged', 'PositionMoved') "
        "ORDER BY seq",
        (after,),
    )
    for stream, kind, told in rows:
        name = stream.removeprefix("position/")
        if kind == "PositionOpened":
            opened.add(name)
        state[name] = told or state.get(name, "ENTRY")
    now_open = tuple(name for name, told in state.items() if told not in _ENDED)
    closed = tuple(name for name, told in state.items() if told in _ENDED and name not in opened)
    return now_open, closed
