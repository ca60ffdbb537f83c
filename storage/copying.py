"""Copying a database from one moment of it into one file, for backups and restores.

Responsible for the bytes: that they are of one moment, durable, and in no second file. Whether
they are good is `backup`'s question.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.journal import connect_readonly
from storage.schema import MANIFEST

#: Pages that are copied before they are synced, so that a commit beside it waits for little.
_PAGES_A_STEP = 1_024


@contextmanager
def pinned(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees one moment of a database, whatever is committed meanwhile.

    Without that each commit beside it would make the copy begin again. Raises FileNotFoundError,
    sqlite3.Error and SchemaTooNew.
    """
    conn = connect_readonly(database)
    try:
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield conn
    finally:
        conn.close()


def copy_pages(source: sqlite3.Connection, target: Path) -> None:
    """Copy what a pinned connection sees into a new file of mode 0600 that needs no other one.

    Raises FileExistsError, OSError and sqlite3.Error; the caller removes what was begun.
    """
    fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        copy = sqlite3.connect(target, isolation_level=None)
        try:
            copy.execute("PRAGMA synchronous = OFF")  # synced here, step by step
            source.backup(
                copy, pages=_PAGES_A_STEP, progress=lambda status, left, total: os.fdatasync(fd)
            )
        finally:
            copy.close()
        with written(target) as copy:
            # The mode is part of the file: with a log of its own it would not be one file.
            (mode,) = copy.execute("PRAGMA journal_mode = DELETE").fetchone()
            assert mode == "delete", f"{target}: journal mode {mode}"
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def written(file: Path) -> Iterator[sqlite3.Connection]:
    """A writing connection to a copy that nobody else knows. Raises sqlite3.Error."""
    conn = sqlite3.connect(file, isolation_level=None)
    try:
        yield conn
    finally:
        conn.close()


def drop_manifest(file: Path) -> None:
    """A copy that becomes a database again is no backup any more. Raises sqlite3.Error."""
    with written(file) as conn:
        conn.execute(f"DROP TABLE IF EXISTS {MANIFEST}")


def remove_with_logs(file: Path) -> None:
    """Remove a file that SQLite wrote to, and what it may have left beside it."""
    for ending in ("-journal", "-wal", "-shm", ""):
        Path(f"{file}{ending}").unlink(missing_ok=True)


@contextmanager
def pinned_venue(venue: Path) -> Iterator[sqlite3.Connection]:
    """One moment of a simulated venue's record. Raises sqlite3.Error."""
    conn = sqlite3.connect(f"{venue.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield conn
    finally:
        conn.close()


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
