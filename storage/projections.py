"""Projections: tables derived from the journal that a person may query with any SQLite tool.

The projector copies what events say; it decides nothing. Its position commits together with its
rows, so that it can be killed anywhere, dropped, and rebuilt to the same content.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec
from sqlite_utils import Database

from fsm.events import Recorded
from fsm.money import plain
from storage import projection_rows, projection_rows_account, projection_rows_guards
from storage.inserts import insert
from storage.journal import JournalReader
from storage.schema import PROJECTION_STATE, PROJECTIONS, create_projections, drop_projections

_NAME = "projections"
# Decimals in rows are canonical text in their columns: made when a row is written, because a row
# may change many times in one batch.
sqlite3.register_adapter(Decimal, plain)
_DIFFERENCES_MAX = 20


class ProjectionRefused(Exception):
    """An event does not fit the rows that are there; nothing is dropped in silence (P07)."""


class Projector:
    """Applies committed events to the projection tables, in order, each exactly once."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn
        self.failed: Exception | None = None
        row = conn.execute(
            f"SELECT seq FROM {PROJECTION_STATE} WHERE name = ?", (_NAME,)
        ).fetchone()
        self.seq: int = row[0] if row else 0
        self.session_id = _latest_session(conn)

    def apply(self, events: Sequence[Recorded]) -> int:
        """Project events that follow on; a refused row stops this projector for good (L8)."""
        if not events or self.failed is not None:
            return 0
        assert events[0].seq == self.seq + 1, (
            f"projection at {self.seq}, next event {events[0].seq}"
        )
        batch = Batch(self.conn, self.session_id)
        self.conn.execute("BEGIN IMMEDIATE")
        try:
            for recorded in events:
                batch.add(recorded)
            batch.flush()
            self.conn.execute(
                f"INSERT OR REPLACE INTO {PROJECTION_STATE} (name, seq) VALUES (?, ?)",
                (_NAME, events[-1].seq),
            )
            self.conn.execute("COMMIT")
        except sqlite3.OperationalError:
            # A lock or a disk, not a row: the caller counts it, and tries again later.
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK")
            raise
        except Exception as problem:
            # Recorded in `failed`: the service raises the alert, `holdfast verify` reports it.
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK")
            self.failed = problem
            return 0
        self.seq, self.session_id = events[-1].seq, batch.session_id
        return len(events)

    def catch_up(self, limit: int) -> int:
        """Project up to `limit` events that are in the journal already; returns how many."""
        if self.failed is not None:
            return 0
        reader = JournalReader(self.conn)
        return self.apply(list(reader.events(self.seq, limit=limit)))


def rebuild(conn: sqlite3.Connection) -> int:
    """Drop every projection and fold the journal anew; returns the events folded.

    Raises the projector's error when a row is refused: half a projection is never left as whole.
    """
    db = Database(conn)
    conn.execute("BEGIN IMMEDIATE")
    try:
        drop_projections(db)
        create_projections(db)
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
    projector = Projector(conn)
    total = 0
    while done := projector.catch_up(5_000):
        total += done
    if projector.failed is not None:
        raise projector.failed
    return total


def _latest_session(conn: sqlite3.Connection) -> str | None:
    # By insertion, not by time: a clock may have been set back between two sessions.
    row = conn.execute("SELECT session_id FROM sessions ORDER BY rowid DESC LIMIT 1").fetchone()
    return row[0] if row else None


Row = dict[str, Any]


#: Every column of a table in its order: a row that is built on it needs no look-ups to be written.
_EMPTY_ROWS: dict[str, Row] = {
    table: dict.fromkeys(columns) for table, (columns, *_) in PROJECTIONS.items()
}


class Batch:
    """The changes of one projector transaction, coalesced: one write a touched row."""

    def __init__(self, conn: sqlite3.Connection, session_id: str | None) -> None:
        self.conn = conn
        self.session_id = session_id
        self._new: dict[str, dict[object, Row]] = {name: {} for name in PROJECTIONS}
        self._changed: dict[str, dict[object, Row]] = {name: {} for name in PROJECTIONS}
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, recorded: Recorded) -> None:
        """Let the row function of the event's type say what changes."""
        handler = _HANDLERS.get(recorded.type)
        if handler is not None:
            handler(self, recorded, recorded.event)

    def insert(self, table: str, key: object, row: Row) -> None:
        """A new row; the key must not exist yet (one logical event, one row: P03)."""
        if key in self._new[table] or key in self._changed[table]:
            raise ProjectionRefused(f"{table} {key}: there already, one event makes one row")
        self._new[table][key] = _EMPTY_ROWS[table] | row

    def update(self, table: str, key: object, row: Row) -> None:
        """Change columns of a row that exists in the table or in this batch."""
        target = self._new[table].get(key)
        if target is not None:
            target.update(row)
        else:
            self._changed[table].setdefault(key, {}).update(row)

    def current(self, table: str, key: object, column: str) -> Any:
        """A column's value as it stands, this batch included."""
        for pending in (self._new[table], self._changed[table]):
            if key in pending and column in pending[key]:
                return pending[key][column]
        row = self.conn.execute(
            f"SELECT {column} FROM {table} WHERE {PROJECTIONS[table][1]} = ?", (key,)
        ).fetchone()
        return row[0] if row else None

    def keys_where(self, table: str, wanted: Row) -> list[object]:
        """Keys of the rows that hold these values now, this batch included."""
        pk = PROJECTIONS[table][1]
        where = " AND ".join(f"{column} IS ?" for column in wanted)
        rows = self.conn.execute(
            f"SELECT {pk} FROM {table} WHERE {where}", tuple(wanted.values())
        ).fetchall()
        changed = self._changed[table]
        found = [
            key for (key,) in rows if wanted.items() <= (wanted | changed.get(key, {})).items()
        ]
        return found + [
            key for key, row in self._new[table].items() if wanted.items() <= row.items()
        ]

    def add_flag(self, table: str, key: object, *flags: str) -> None:
        """Add words to a row's flag list, each once."""
        held: list[str] = msgspec.json.decode(self.current(table, key, "flags") or "[]")
        held += [flag for flag in flags if flag not in held]
        self.update(table, key, {"flags": to_json(held)})

    def add_decimal(self, table: str, key: object, column: str, delta: Decimal) -> None:
        """Move a decimal column by an amount."""
        held = Decimal(self.current(table, key, column) or 0)
        self.update(table, key, {column: held + delta})

    def count(self, column: str) -> None:
        """Add one to a counter of the current session's row."""
        if self.session_id is not None:
            key = self.session_id, column
            self._counts[key] = self._counts.get(key, 0) + 1

    def flush(self) -> None:
        """Write everything: INSERTs of many rows, one UPDATE a changed row."""
        for (session_id, column), more in self._counts.items():
            held = self.current("sessions", session_id, column) or 0
            self.update("sessions", session_id, {column: held + more})
        self._counts.clear()
        for table, rows in self._new.items():
            if rows:
                columns = tuple(PROJECTIONS[table][0])
                flat = [value for row in rows.values() for value in row.values()]
                insert(self.conn, f"{table} ({','.join(columns)})", len(columns), flat)
        for table, rows in self._changed.items():
            by_shape: dict[tuple[str, ...], list[list[Any]]] = {}
            for key, row in rows.items():
                by_shape.setdefault(tuple(row), []).append([*row.values(), key])
            for shape, values in by_shape.items():
                self._update_rows(table, shape, values)

    def _update_rows(self, table: str, shape: tuple[str, ...], values: list[list[Any]]) -> None:
        assignments = ",".join(f"{column} = ?" for column in shape)
        sql = f"UPDATE {table} SET {assignments} WHERE {PROJECTIONS[table][1]} = ?"
        found = self.conn.executemany(sql, values).rowcount
        if found != len(values):
            raise ProjectionRefused(f"{table}: {self._missing(table, values)} has no row to change")

    def _missing(self, table: str, values: list[list[Any]]) -> object:
        sql = f"SELECT 1 FROM {table} WHERE {PROJECTIONS[table][1]} = ?"
        return next((v[-1] for v in values if not self.conn.execute(sql, v[-1:]).fetchone()), "?")


def to_json(value: object) -> str:
    """Compact JSON text of a plain value."""
    return msgspec.json.encode(value).decode()


def compare(actual: sqlite3.Connection, expected: sqlite3.Connection) -> list[str]:
    """Differences between two databases' projections, a line each (at most 20 a table)."""
    problems: list[str] = []
    for table, (columns, pk, _) in PROJECTIONS.items():
        assert isinstance(pk, str), f"{table}: the rows are merged by one key column"
        sql = f"SELECT {pk},{','.join(columns)} FROM {table} ORDER BY {pk}"
        differences = _differences(table, columns, actual.execute(sql), expected.execute(sql))
        problems += list(islice(differences, _DIFFERENCES_MAX))
    return problems


def _differences(
    table: str, columns: Iterable[str], left: Iterator[Any], right: Iterator[Any]
) -> Iterator[str]:
    """Merge two runs of rows in key order; nothing but one row of each is in memory."""
    have: Any = next(left, None)
    want: Any = next(right, None)
    while have is not None or want is not None:
        if want is None or (have is not None and have[0] < want[0]):
            yield f"{table} {have[0]}: not in the journal"
            have = next(left, None)
        elif have is None or want[0] < have[0]:
            yield f"{table} {want[0]}: missing, the journal has it"
            want = next(right, None)
        else:
            for column, ours, theirs in zip(columns, have[1:], want[1:], strict=True):
                if ours != theirs:
                    yield f"{table} {have[0]}: {column} is {ours!r}, the journal says {theirs!r}"
            have, want = next(left, None), next(right, None)


_HANDLERS: Mapping[str, Callable[[Batch, Recorded, Any], None]] = projection_rows.HANDLERS
assert projection_rows_account  # imported for what they register in HANDLERS
assert projection_rows_guards
