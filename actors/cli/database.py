"""Opening a database for reading: live, stopped or a copy, with errors that say what to do.

Read commands look at one snapshot. When the tables lag behind the journal (a service was killed),
they are brought up to date in a private copy, never in the file itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from actors.cli.options import KEEP_AND_RESTORE, REFUSED, UNAVAILABLE, CommandFailed, Place
from actors.cli.output import note
from storage.codec import UnknownEventType
from storage.journal import (
    JournalDamaged,
    JournalReader,
    check_head,
    connect_readonly,
    read_head,
)
from storage.projections import Projector
from storage.schema import PROJECTION_STATE, SCHEMA_VERSION, renew_projections, version_of

_COPY_BYTES_MAX = 256 * 1024 * 1024


class Damaged(CommandFailed):
    """The file is, or was, a database of ours and cannot be read as one; `problem` in one line."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"{problem}; {KEEP_AND_RESTORE}", REFUSED)


def open_database(path: Path) -> sqlite3.Connection:
    """A read-only connection to a database with a journal in it.

    Raises Damaged (3), CommandFailed (4: no such file, no database, unreadable), SchemaTooNew (3).
    """
    check_file(path)
    try:
        conn = connect_readonly(path)
    except FileNotFoundError as problem:
        raise CommandFailed(str(problem), UNAVAILABLE) from problem
    except sqlite3.Error as problem:
        from actors.opening import is_damage

        if is_damage(path, problem):
            raise Damaged(f"{path}: {problem}") from problem
        raise CommandFailed(unreadable(path, problem), UNAVAILABLE) from problem
    if version_of(conn) == 0:
        conn.close()
        kept = read_head(path)
        if kept is not None and kept.seq > 0:
            raise Damaged(f"{path}: holds no journal, but seq {kept.seq} was acknowledged")
        raise CommandFailed(
            f"{path}: not a holdfast database (it has no journal); name another with --db",
            UNAVAILABLE,
        )
    return conn


def open_intact(path: Path, place: Place) -> None:
    """Whether it can be opened; damage is told with the best backup. Raises as `open_database`."""
    try:
        open_database(path).close()
    except Damaged as damage:
        raise CommandFailed(f"{damage.problem}; {best_way_out(place, path)}", REFUSED) from damage


def best_way_out(place: Place, path: Path) -> str:
    """Which backup to go back to, and what that would lose."""
    from actors.config import Config, ConfigError, load_config
    from actors.damage import way_out
    from actors.settings import backup_folders

    try:
        config = load_config(place.config)
    except ConfigError:
        config = Config()  # the way out must not depend on a configuration that is being edited
    return way_out(path, backup_folders(config, path))


def check_file(path: Path) -> None:
    """Say plainly that a path is missing, or is something else than a file."""
    if path.is_dir():
        raise CommandFailed(
            f"{path}: a directory, not a database; name a file with --db", UNAVAILABLE
        )
    if not path.exists():
        raise CommandFailed(
            f"{path}: no such database; name another with --db, or start one with "
            f"`holdfast run --db {path}`",
            UNAVAILABLE,
        )


def unreadable(path: Path, problem: sqlite3.Error) -> str:
    """What to tell about a file that SQLite does not read."""
    if "not a database" in str(problem):
        return f"{path}: not an SQLite database; name another with --db, or restore a backup"
    return f"{path}: cannot be read: {problem}; look at its permissions, or run `holdfast doctor`"


@contextmanager
def reading(path: Path) -> Iterator[JournalReader]:
    """The journal as of one moment; a lost tail is told. Raises as `open_database`."""
    conn = open_database(path)
    try:
        conn.execute("BEGIN")
        say_what_is_lost(conn, path)
        yield JournalReader(conn)
    except UnknownEventType as problem:
        raise CommandFailed(f"{path}: {problem}; use the newer version", REFUSED) from problem
    finally:
        conn.close()


def say_what_is_lost(conn: sqlite3.Connection, path: Path) -> None:
    """What is left may be looked at, and nobody takes it for the whole.

    To be called before anything is read: beside a live database the head may lag, never lead.
    """
    try:
        kept = read_head(path)
        if kept is not None:
            check_head(JournalReader(conn), path, kept)
    except JournalDamaged as damage:
        note(f"{damage}; what follows is what is left")


@contextmanager
def reading_tables(path: Path) -> Iterator[sqlite3.Connection]:
    """The projections as of one moment, equal to the journal at that moment."""
    with reading(path) as reader:
        conn = reader.conn
        lag = _lag(conn)
        if lag == 0:
            yield conn
        elif _size(conn) > _COPY_BYTES_MAX and _is_older(conn):
            raise CommandFailed(
                f"{path}: its tables are those of an older holdfast; run `holdfast rebuild --db "
                f"{path}` once, or start it",
                UNAVAILABLE,
            )
        elif _size(conn) > _COPY_BYTES_MAX:
            note(f"{path}: the tables are {lag} events behind the journal; a start catches up")
            yield conn
        else:
            scratch = _caught_up(conn, path)
            try:
                yield scratch
            finally:
                scratch.close()


def _lag(conn: sqlite3.Connection) -> int:
    """Events that the tables have not seen; all of them when an older version made the file."""
    head: int = conn.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0]
    if (
        _is_older(conn)
        or not conn.execute(
            "SELECT 1 FROM sqlite_schema WHERE name = ?", (PROJECTION_STATE,)
        ).fetchone()
    ):
        return head
    row = conn.execute(f"SELECT seq FROM {PROJECTION_STATE}").fetchone()
    return head - (row[0] if row else 0)


def _is_older(conn: sqlite3.Connection) -> bool:
    return version_of(conn) < SCHEMA_VERSION


def _size(conn: sqlite3.Connection) -> int:
    pages: int = conn.execute("PRAGMA page_count").fetchone()[0]
    return pages * int(conn.execute("PRAGMA page_size").fetchone()[0])


def _caught_up(conn: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    scratch = sqlite3.connect("", isolation_level=None)  # private, deleted when closed
    conn.backup(scratch)
    renew_projections(Database(scratch))
    projector = Projector(scratch)
    while projector.catch_up(5_000):
        pass
    if projector.failed is not None:
        scratch.close()
        raise CommandFailed(
            f"{path}: the tables cannot follow the journal: {projector.failed}; "
            "run `holdfast verify`",
            REFUSED,
        )
    return scratch


def rows(
    conn: sqlite3.Connection,
    table: str,
    *,
    where: str = "",
    params: tuple[object, ...] = (),
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Rows of a projection in the order in which they came to be; `limit` keeps the newest."""
    sql = f"SELECT * FROM {table}" + (f" WHERE {where}" if where else "")
    sql += " ORDER BY rowid DESC" + ("" if limit is None else f" LIMIT {limit}")
    cursor = conn.execute(sql, params)
    names = [column[0] for column in cursor.description]
    found = [dict(zip(names, row, strict=True)) for row in cursor]
    return found[::-1]
