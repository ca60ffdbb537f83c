"""Memory of an order that works and waits: the actor, its indexes, its share of the ledger.

Measured on books folded from a journal, so that neither the venue's own order nor the messages that
led there are counted.
"""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

from actors.fold import folded
from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.world import Rules, World
from storage.journal import JournalReader
from tests.bench.driving import limit_quote, place_all, simulated
from tests.bench.measuring import Figures, Workload
from tests.bench.targets import below


def run(folder: Path, size: int) -> Figures:
    """Let `size` quotes work, fold their journal, and weigh what the fold holds."""
    engine, simulation = simulated(folder)
    place_all(simulation, [limit_quote(number) for number in range(size)])
    engine.close()
    reader = JournalReader.open(engine.settings.database)
    books = Books(World(rules=Rules(), ids=IdSource("")), None)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    folded(reader, books)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    reader.close()
    assert len(books.world.orders) == size, f"{len(books.world.orders)} of {size} orders work"
    return {"bytes_per_order": held / size}


WORKLOAD = Workload(
    name="idle_order_bytes",
    about="memory of a working order that waits (tracemalloc)",
    size=10_000,
    quick_size=1_000,
    headline=("bytes_per_order",),
    run=run,
    targets=(below("bytes_per_order", 1_024),),
)
