"""A start on a long journal: chain checked, events folded into empty books, until it may reconcile.

The history is 13 events a life (entry, stop and target, exit), every hundredth position still
open. Started twice: from the journal alone, and from a snapshot at its end, when the chain's older
part is left to a process beside the service.
"""

from __future__ import annotations

import time
from pathlib import Path

from actors.engine import Engine
from actors.snapshot_process import make_snapshot
from tests.bench.driving import engine_on, simulated
from tests.bench.history import ended_life, open_position, write_history
from tests.bench.measuring import Figures, Workload
from tests.bench.targets import below

_LIVES_AN_OPEN_ONE = 100


def run(folder: Path, size: int) -> Figures:
    """Make a journal of about `size` events, start on it, make a snapshot, and start again."""
    engine, _ = simulated(folder)
    engine.close()
    patterns = [*[ended_life()] * (_LIVES_AN_OPEN_ONE - 1), open_position()]
    database = engine.settings.database
    write_history(database, patterns, until_seq=size)
    first, took_s = _started(folder)
    events, opened = first.writer.head.seq, len(first.world.positions)
    first.close()
    started = time.perf_counter()
    assert make_snapshot(database) == events
    snapshot_s = time.perf_counter() - started
    again, again_s = _started(folder)
    assert again.writer.head.seq == events
    assert len(again.world.positions) == opened
    again.close()
    return {
        "seconds": took_s,
        "seconds_from_snapshot": again_s,
        "seconds_for_snapshot": snapshot_s,
        "events_per_s": events / took_s,
        "events": float(events),
        "open_positions": float(opened),
    }


def _started(folder: Path) -> tuple[Engine, float]:
    started = time.perf_counter()
    engine = engine_on(folder)
    return engine, time.perf_counter() - started


WORKLOAD = Workload(
    name="restart",
    about="start on a journal, hash chain checked, until a session may reconcile",
    size=1_000_000,
    quick_size=20_000,
    headline=("seconds", "seconds_from_snapshot", "events_per_s"),
    run=run,
    targets=(below("seconds", 3), below("seconds_from_snapshot", 0.5)),
    repeat_max=3,
)
