"""Folding an account: facts of every kind that moves money, and the same figures on each way back.

A fact is a fill, a void, a settlement, a funding payment or a capital event; each comes with what
the engine journals beside it. The ledger's own time is that of its `apply`, without reading,
checking and decoding; the account is then made from a rebuild, a snapshot and a backup.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

from actors import state
from actors.fold import folded
from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.snapshot_process import make_snapshot
from actors.world import Rules, World
from storage.backup import make_backup
from storage.journal import JournalReader
from storage.ledger import Ledger
from storage.projections import rebuild
from storage.writer import open_writing_connection
from tests.bench.driving import simulated
from tests.bench.history import Pattern, ended_life, eventful_life, write_history
from tests.bench.measuring import Figures, Workload

_FACTS = frozenset(
    {
        "OrderFilled",
        "OrderFillVoided",
        "OrderFillSettled",
        "FundingBooked",
        "CapitalRecorded",
        "ConversionBooked",
    }
)
_CHUNK = 20_000


def run(folder: Path, size: int) -> Figures:
    """Make a journal of about `size` facts, fold it, and compare the accounts."""
    engine, _ = simulated(folder)
    engine.close()
    database = engine.settings.database
    lives = [*[eventful_life()] * 4, ended_life()]
    events_a_fact = sum(len(life.rows) for life in lives) / sum(_facts(life) for life in lives)
    write_history(database, lives, until_seq=int(size * events_a_fact))
    before_mib = _resident_mib()
    ledger_s, events, facts = _ledger(database)
    ledger_mib = _resident_mib() - before_mib
    account, fold_s = _account(database)
    fold_mib = _resident_mib() - before_mib
    _rebuilt(database)
    make_snapshot(database)
    assert account == _account(database, snapshot=True)[0], "another account from a snapshot"
    backup = folder / "backup.db"
    make_backup(database, backup, reason="manual")
    assert account == _account(backup)[0], "another account from a backup"
    return {
        "seconds": fold_s,
        "seconds_of_ledger": ledger_s,
        "facts_per_s": facts / fold_s,
        "ledger_us_a_fact": ledger_s / facts * 1e6,
        "mib_of_ledger": ledger_mib,
        "mib": fold_mib,
        "facts": float(facts),
        "events": float(events),
    }


def _facts(life: Pattern) -> int:
    return sum(row.kind in _FACTS for row in life.rows)


def _resident_mib() -> float:
    """The most that the process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _ledger(database: Path) -> tuple[float, int, int]:
    """Seconds in the ledger's fold, events, and facts among them."""
    reader, ledger, took_s, facts = JournalReader.open(database), Ledger(), 0.0, 0
    seq, head = 0, reader.head().seq
    while seq < head:
        until = min(seq + _CHUNK, head)
        chunk = [(at, event) for at, _, _, event in reader.unchecked(seq, until)]
        facts += sum(type(event).__name__ in _FACTS for _, event in chunk)
        started = time.perf_counter()
        for at, event in chunk:
            ledger.apply(event, at)
        took_s += time.perf_counter() - started
        seq = until
    reader.close()
    assert ledger.running() == ledger.recomputed()
    return took_s, head, facts


def _account(database: Path, *, snapshot: bool = False) -> tuple[Any, float]:
    """The account as a start from the journal, or from its snapshot, publishes it."""
    books, reader = (
        Books(World(rules=Rules(), ids=IdSource("")), None),
        JournalReader.open(database),
    )
    started = time.perf_counter()
    found = folded(reader, books, database if snapshot else None)
    took_s = time.perf_counter() - started
    assert bool(found.snapshot_seq) is snapshot
    reader.close()
    # The whole state document would list every order of the one session.
    return state._account(books), took_s


def _rebuilt(database: Path) -> None:
    conn = open_writing_connection(database)
    rebuild(conn)
    conn.close()


WORKLOAD = Workload(
    name="ledger_fold",
    about="fills, voids, settlements, funding and capital events folded into an account",
    size=1_000_000,
    quick_size=10_000,
    headline=("seconds", "seconds_of_ledger", "mib"),
    run=run,
    repeat_max=1,
)
