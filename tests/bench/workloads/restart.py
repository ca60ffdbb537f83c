"""The fold at a start: the whole journal, its hash chain checked, into empty books."""

from __future__ import annotations

import time
from pathlib import Path

from actors import messages as msg
from actors.fold import folded
from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.world import Rules, World
from storage.journal import JournalReader
from tests.bench.driving import limit_quote, market_order, place_all, simulated
from tests.bench.measuring import Figures, Workload

_BURST = 256


def run(folder: Path, size: int) -> Figures:
    """Make a journal of about `size` events, half of market orders and half of quotes; fold it."""
    database = _history(folder, size)
    reader = JournalReader.open(database)
    books = Books(World(rules=Rules(), ids=IdSource("")), None)
    started = time.perf_counter()
    head = folded(reader, books).head
    took_s = time.perf_counter() - started
    reader.close()
    assert head.seq >= size, f"{head.seq} events, wanted {size}"
    return {
        "events_per_s": head.seq / took_s,
        "seconds": took_s,
        "events": float(head.seq),
        "open_positions": float(len(books.world.positions)),
    }


def _history(folder: Path, size: int) -> Path:
    engine, simulation = simulated(folder)
    place_all(simulation, [limit_quote(0)])  # it rests: the shared inventory does not end
    number = 1
    while engine.writer.head.seq < size:
        numbers = range(number, number + _BURST)
        number += _BURST
        if engine.writer.head.seq < size // 2:
            place_all(simulation, [market_order(n) for n in numbers])
        else:
            quotes = [limit_quote(n) for n in numbers]
            place_all(simulation, quotes)
            place_all(simulation, [msg.CancelOrder(q.client_order_id, "requote") for q in quotes])
    engine.close()
    return engine.settings.database


WORKLOAD = Workload(
    name="restart",
    about="fold of a journal, hash chain checked, before a session may reconcile",
    size=100_000,
    quick_size=10_000,
    headline=("events_per_s", "seconds"),
    run=run,
)
