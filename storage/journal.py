"""The journal's chain and its readers. Reading never writes: connections are `mode=ro`.

Each row's hash is SHA-256 over the previous hash and the row's own columns, so that any changed,
missing or reordered row breaks the chain at a seq that can be named.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
from attrs import frozen

from fsm.events import Event, Recorded
from storage.codec import DECODERS, decode
from storage.schema import ForeignDatabase, check_version, version_of

GENESIS = bytes(32)


class JournalDamaged(Exception):
    """The journal does not hold together; the message says where and what to do."""


class RestorePending(JournalDamaged):
    """A restore was cut off, and is finished before anybody opens the database."""


@frozen(slots=True)
class Head:
    """The last row of the chain: its seq (0 when empty) and its hash."""

    seq: int
    hash: bytes
    turn: int = 0


def chain(
    previous: bytes, seq: int, turn: int, at_us: int, stream: str, kind: str, payload: bytes
) -> bytes:
    """The hash of one row on top of the previous hash."""
    prefix = f"{seq}|{turn}|{at_us}|{stream}|{kind}|".encode()
    return hashlib.sha256(previous + prefix + payload).digest()


def connect_readonly(path: Path | str) -> sqlite3.Connection:
    """A read-only connection.

    Raises FileNotFoundError, sqlite3.Error, SchemaTooNew, and RestorePending.
    """
    file = Path(path)
    refuse_half_restored(file)
    if not file.exists():
        raise FileNotFoundError(f"no database at {file}: start one with `holdfast run --db {file}`")
    try:
        return _connect(file, "mode=ro")
    except sqlite3.OperationalError:
        if _has_wal(file):
            raise
        # Reading a WAL database needs its shared-memory file, which cannot be made in a read-only
        # directory. Without a WAL nobody writes: the file alone is the whole database.
        return _connect(file, "mode=ro&immutable=1")


def _connect(file: Path, options: str) -> sqlite3.Connection:
    conn = sqlite3.connect(f"{file.resolve().as_uri()}?{options}", uri=True, isolation_level=None)
    try:
        conn.execute("PRAGMA query_only = 1")
        conn.execute("PRAGMA busy_timeout = 5000")
        check_version(conn, str(file))
        conn.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except BaseException:
        conn.close()
        raise
    return conn


def _has_wal(file: Path) -> bool:
    wal = Path(f"{file}-wal")
    return wal.exists() and wal.stat().st_size > 0


class JournalReader:
    """Reads events in order; works on a live database, a stopped one and a backup."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn

    @classmethod
    def open(cls, path: Path | str) -> JournalReader:
        """Open a database read-only; raises as `connect_readonly`."""
        return cls(connect_readonly(path))

    def close(self) -> None:
        """Close the connection."""
        self.conn.close()

    def head(self) -> Head:
        """The last row's seq, hash and turn."""
        row = self.conn.execute(
            "SELECT seq, hash, turn FROM journal ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        return Head(row[0], row[1], row[2]) if row else Head(0, GENESIS)

    def events(
        self,
        after: int = 0,
        *,
        stream: str | None = None,
        types: tuple[str, ...] = (),
        limit: int | None = None,
    ) -> Iterator[Recorded]:
        """Events with seq > after, oldest first, optionally of one stream or of some types."""
        where: list[str] = ["seq > ?"]
        params: list[object] = [after]
        if stream is not None:
            where.append("stream = ?")
            params.append(stream)
        if types:
            where.append(f"type IN ({','.join('?' * len(types))})")
            params += types
        columns = "seq, turn, at_us, stream, type, payload"
        sql = f"SELECT {columns} FROM journal WHERE {' AND '.join(where)} ORDER BY seq"
        if limit is not None:
            sql += " LIMIT ?"
            params.append(limit)
        for seq, turn, at_us, name, kind, payload in self.conn.execute(sql, params):
            try:
                event = decode(kind, payload)
            except msgspec.MsgspecError as problem:
                raise JournalDamaged(
                    f"journal: seq {seq} cannot be read ({problem}): run `holdfast verify`"
                ) from problem
            yield Recorded(seq, turn, at_us, name, event)

    def verified(self, start: Head | None = None) -> Iterator[Recorded]:
        """All events, checking the chain on the way.

        Raises JournalDamaged at the first break: a row that is changed, missing or out of place,
        or one that cannot be read as what it says it is.
        """
        previous = start.hash if start else GENESIS
        expected = (start.seq if start else 0) + 1
        rows = self.conn.execute(
            "SELECT seq, turn, at_us, CAST(stream AS BLOB), CAST(type AS BLOB), "
            "CAST(payload AS BLOB), hash FROM journal WHERE seq >= ? ORDER BY seq",
            (expected,),
        )
        for seq, turn, at_us, stream, kind, payload, stored in rows:
            if seq != expected:
                raise JournalDamaged(f"journal: seq {expected} is missing (next is {seq})")
            name, type_name = _text(stream), _text(kind)
            if chain(previous, seq, turn, at_us, name, type_name, payload) != stored:
                raise JournalDamaged(f"journal: the hash chain breaks at seq {seq}")
            try:
                event = decode(type_name, payload)
            except (ValueError, msgspec.MsgspecError) as problem:
                raise JournalDamaged(f"journal: seq {seq} cannot be read: {problem}") from problem
            yield Recorded(seq, turn, at_us, name, event)
            previous, expected = stored, expected + 1

    def check_chain(self, start: Head, last_seq: int) -> None:
        """Look at the chain alone, from the row behind `start` to `last_seq`.

        Raises JournalDamaged at the first break, as `verified` does.
        """
        previous, expected = start.hash, start.seq + 1
        rows = self.conn.execute(
            "SELECT seq, turn, at_us, CAST(stream AS BLOB), CAST(type AS BLOB), "
            "CAST(payload AS BLOB), hash FROM journal WHERE seq BETWEEN ? AND ? ORDER BY seq",
            (expected, last_seq),
        )
        for seq, turn, at_us, stream, kind, payload, stored in rows:
            if seq != expected:
                break
            if chain(previous, seq, turn, at_us, _text(stream), _text(kind), payload) != stored:
                raise JournalDamaged(f"journal: the hash chain breaks at seq {seq}")
            previous, expected = stored, expected + 1
        if expected <= last_seq:
            raise JournalDamaged(f"journal: seq {expected} is missing")

    def unchecked(self, after: int, last_seq: int) -> Iterator[tuple[int, int, int, Event]]:
        """(seq, turn, at_us, event) without a look at the chain: somebody else looks at it.

        Raises JournalDamaged for a row that cannot be read.
        """
        rows = self.conn.execute(
            "SELECT seq, turn, at_us, type, CAST(payload AS BLOB) FROM journal "
            "WHERE seq > ? AND seq <= ? ORDER BY seq",
            (after, last_seq),
        )
        for seq, turn, at_us, kind, payload in rows:
            try:
                event = DECODERS[kind](payload)
            except (KeyError, ValueError, msgspec.MsgspecError) as problem:
                raise JournalDamaged(f"journal: seq {seq} cannot be read: {problem}") from problem
            yield seq, turn, at_us, event

    def client_order_id(self, venue_order_id: str) -> str | None:
        """Whose order the venue means, from the identity index."""
        row = self.conn.execute(
            "SELECT client_order_id FROM identities WHERE venue_order_id = ?", (venue_order_id,)
        ).fetchone()
        return row[0] if row else None

    def has_stream(self, stream: str) -> bool:
        """Whether anything was ever journaled in this stream."""
        row = self.conn.execute(
            "SELECT 1 FROM journal WHERE stream = ? LIMIT 1", (stream,)
        ).fetchone()
        return row is not None

    def has_dedup_key(self, key: str) -> bool:
        """Whether a fact with this key was booked."""
        return (
            self.conn.execute("SELECT 1 FROM dedup_keys WHERE key = ?", (key,)).fetchone()
            is not None
        )

    def event_of(self, key: str) -> Event | None:
        """The event that was journaled under this dedup key, where it was one alone."""
        row = self.conn.execute("SELECT seq FROM dedup_keys WHERE key = ?", (key,)).fetchone()
        found = list(self.events(row[0] - 1, limit=1)) if row is not None else []
        return found[0].event if found else None

    def dedup_key_with(self, head: str, part: str) -> str | None:
        """A key that begins so and holds this part, if any; reads all keys that begin so."""
        row = self.conn.execute(
            "SELECT key FROM dedup_keys WHERE key >= ? AND key < ? AND instr(key, ?) LIMIT 1",
            (head, head + "\U0010ffff", part),
        ).fetchone()
        return row[0] if row else None


def _text(value: bytes) -> str:
    """Damaged text must break the chain, not the reader."""
    return value.decode(errors="replace")


# ------------------------------------------------------------------------- the head, kept outside


def head_path(database: Path | str) -> Path:
    """Where the head of a database is kept: beside it, outside of it."""
    return Path(f"{database}.head")


def write_head(database: Path | str, head: Head) -> None:
    """Replace the head file atomically and durably."""
    path = head_path(database)
    temporary = path.with_suffix(path.suffix + ".new")
    data = json.dumps({"seq": head.seq, "hash": head.hash.hex()}).encode() + b"\n"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_head(database: Path | str) -> Head | None:
    """The head kept outside, or None when there is none. Raises JournalDamaged on nonsense."""
    path = head_path(database)
    try:
        raw = json.loads(path.read_bytes())
        return Head(int(raw["seq"]), bytes.fromhex(raw["hash"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as problem:
        raise JournalDamaged(
            f"{path}: unreadable head ({problem}); if the database is known to be good, "
            "remove this file and run `holdfast verify`"
        ) from problem


def restore_marker(database: Path | str) -> Path:
    """What `storage.restore` leaves beside a database until it has put everything in place."""
    return Path(f"{database}.restore")


def refuse_half_restored(database: Path) -> None:
    """Old and new files may lie side by side here. Raises RestorePending."""
    if restore_marker(database).exists():
        raise RestorePending(
            f"{database}: a restore was cut off; `holdfast restore --db {database}` finishes it, "
            "and so does the next `holdfast run`"
        )


def check_before_writing(database: Path) -> None:
    """Whether this file may be written to as a journal; reads only.

    Raises SchemaTooNew, RestorePending, ForeignDatabase for another program's file, and
    JournalDamaged when the head is not on the chain, or says that there was a journal and the file
    has none any more (its WAL was lost).
    """
    refuse_half_restored(database)
    kept = read_head(database)  # before the journal: beside a live one it may lag, never lead
    version, tables = 0, 0
    if database.exists() and database.stat().st_size > 0:
        conn = connect_readonly(database)
        try:
            version = version_of(conn)
            tables = conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if version and kept is not None:
                check_head(JournalReader(conn), database, kept)
        finally:
            conn.close()
    if version == 0 and tables:
        raise ForeignDatabase(f"{database}: an SQLite file of another program; name another --db")
    if version == 0 and kept is not None and kept.seq > 0:
        raise JournalDamaged(
            f"{database}: holds no journal, but seq {kept.seq} was acknowledged; restore a backup, "
            f"or accept the loss by removing {head_path(database)}"
        )


def check_head(reader: JournalReader, database: Path | str, kept: Head | None = None) -> None:
    """The head may lag, but must lie on the chain: a lost tail shows here and nowhere else.

    `kept` is the head as it was read before, for a reader that holds a snapshot.
    """
    kept = kept or read_head(database)
    if kept is None or kept.seq == 0:
        return
    row = reader.conn.execute("SELECT hash FROM journal WHERE seq = ?", (kept.seq,)).fetchone()
    if row is None:
        raise JournalDamaged(
            f"{database}: ends at seq {reader.head().seq}, but seq {kept.seq} was acknowledged; "
            "its tail is lost: restore a backup, or accept the loss by removing "
            f"{head_path(database)}"
        )
    if row[0] != kept.hash:
        raise JournalDamaged(
            f"{database}: seq {kept.seq} is not the row that was acknowledged; restore a backup"
        )
