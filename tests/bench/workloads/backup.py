"""A backup of a long journal, the restore of it, and a rebuild: how long, and to the same figures.

The history is 13 events a life, every hundredth position still open, every tenth of those with a
working entry. The books are folded from the journal, from a snapshot, from the backup and from what
it restored, and must be the same to the last byte; so must the tables of backup and rebuild.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

from actors.fold import folded
from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.snapshot import captured
from actors.snapshot_process import make_snapshot
from actors.world import Rules, World
from storage.backup import examined, make_backup
from storage.journal import JournalReader
from storage.projections import compare, rebuild
from storage.restore import restore
from storage.writer import open_writing_connection
from tests.bench.driving import simulated
from tests.bench.history import ended_life, open_position, working_entry, write_history
from tests.bench.measuring import Figures, Workload

_LIVES = 100


def run(folder: Path, size: int) -> Figures:
    """Make a journal of about `size` events, and go every way there is to its figures."""
    engine, _ = simulated(folder)
    engine.close()
    database = engine.settings.database
    lives = [*[ended_life()] * (_LIVES - 2), open_position(), working_entry()]
    write_history(database, lives, until_seq=size)
    rebuild_s = _timed(lambda: _rebuilt(database))
    books, fold_s = _books(database)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    make_snapshot(database)
    assert books == _books(database)[0], "another account from a snapshot"
    backup = folder / "backup.db"
    backup_s = _timed(lambda: make_backup(database, backup, reason="manual"))
    found = examined(backup)
    assert books == _books(backup)[0], "another account from a backup"
    restored = folder / "restored.db"
    restore_s = _timed(lambda: restore(found, restored))
    assert books == _books(restored)[0], "another account from what was restored"
    _rebuilt(restored)
    assert [] == _differences(backup, restored), "other tables from a rebuild"
    return {
        "seconds": backup_s,
        "seconds_for_restore": restore_s,
        "seconds_for_rebuild": rebuild_s,
        "seconds_for_fold": fold_s,
        "peak_mib": peak_mib,
        "backup_mib": backup.stat().st_size / (1 << 20),
        "events": float(found.head.seq),
    }


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _rebuilt(database: Path) -> None:
    conn = open_writing_connection(database)
    rebuild(conn)
    conn.close()


def _books(database: Path) -> tuple[bytes, float]:
    """The whole fold as bytes, and how long it took."""
    started = time.perf_counter()
    reader = JournalReader.open(database)
    books = Books(World(rules=Rules(), ids=IdSource("")), None)
    folded(reader, books, database)
    reader.close()
    took_s = time.perf_counter() - started
    return captured(books), took_s


def _differences(one: Path, other: Path) -> list[str]:
    readers = JournalReader.open(one), JournalReader.open(other)
    try:
        return list(compare(readers[0].conn, readers[1].conn))
    finally:
        for reader in readers:
            reader.close()


WORKLOAD = Workload(
    name="backup",
    about="backup, restore, rebuild and folds of one journal, all to the same figures",
    size=1_000_000,
    quick_size=20_000,
    headline=("seconds", "seconds_for_restore", "seconds_for_rebuild"),
    run=run,
    repeat_max=1,
)
