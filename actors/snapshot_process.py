"""Makes a snapshot in a process of its own: `python -P -m actors.snapshot_process DATABASE`.

It folds the journal as a start does, from the snapshot before, and replaces that one. The engine
beside it loses no time, and what is kept is the fold of durable events, never the engine's memory.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

from loguru import logger

from actors.fold import folded
from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.snapshot import SnapshotUnusable, write_snapshot
from actors.world import Rules, World
from storage.journal import JournalDamaged, JournalReader

FAILED = 3


def command(database: Path) -> list[str]:
    """What to run."""
    return [sys.executable, "-P", "-m", "actors.snapshot_process", str(database)]


def make_snapshot(database: Path) -> int:
    """Fold up to the head and keep that; returns the head's seq.

    Raises JournalDamaged, SnapshotUnusable, sqlite3.Error, OSError.
    """
    reader = JournalReader.open(database)
    try:
        reader.conn.execute("BEGIN")  # one view of the journal, whatever is committed meanwhile
        books = Books(World(rules=Rules(), ids=IdSource("")), None)
        head = folded(reader, books, database).head
        write_snapshot(database, books, head)
        return head.seq
    finally:
        reader.close()


def main(arguments: list[str]) -> int:
    """Make one, or say why not."""
    logger.remove()
    os.nice(10)
    try:
        make_snapshot(Path(arguments[0]))
    except (JournalDamaged, SnapshotUnusable, sqlite3.Error, OSError) as problem:
        print(problem, file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
