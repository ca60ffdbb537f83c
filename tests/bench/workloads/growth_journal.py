"""The cost of an event on a journal of 10,000 to 1,000,000 events: it should not depend on them.

The history is made of ended lives (entry, exit), so that nothing of it is in memory; the tables are
caught up before the time starts. Market orders and quotes follow. Processor time, as in
`growth_actors`; what a longer file costs the disk is in `wall_us`.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path

from actors.engine import Engine
from tests.bench.driving import Durable, simulated
from tests.bench.history import ended_life, write_history
from tests.bench.measuring import Figures, Workload
from tests.bench.targets import below
from tests.bench.workloads.growth_actors import costs, mixed

_EVENTS = (1_000, 10_000, 100_000, 1_000_000)
_PAIRS = 5_000


def run(folder: Path, size: int) -> Figures:
    """Measure on each length up to `size`; the growth is longest over shortest."""
    figures: Figures = {}
    steps = [length for length in _EVENTS if length <= size]
    for length in steps:
        place = folder / str(length)
        place.mkdir()
        figures |= costs(length, _mixed_on(place, length))
        gc.unfreeze()
        gc.collect()
    figures["growth"] = figures[f"event_us_{steps[-1]}"] / figures[f"event_us_{steps[0]}"]
    return figures


def _mixed_on(folder: Path, length: int) -> Figures:
    engine, _ = simulated(folder)
    engine.close()
    write_history(engine.settings.database, [ended_life()], until_seq=length)
    rig = Durable(folder, prepare=_caught_up)
    measured = mixed(rig, _PAIRS)
    assert rig.engine.writer.head.seq > length + 2 * _PAIRS
    rig.engine.close()
    return measured


def _caught_up(engine: Engine) -> None:
    """The writer's thread has nothing else to do meanwhile, but the tables are its own."""
    while engine.writer.projection_lag:
        time.sleep(0.01)


WORKLOAD = Workload(
    name="growth_journal",
    about="processor microseconds an event on a journal of so many; growth = longest over shortest",
    size=1_000_000,
    quick_size=10_000,
    headline=("growth", *(f"event_us_{length}" for length in _EVENTS)),
    run=run,
    targets=(below("growth", 1.5),),
    repeat_max=3,
    in_quick=False,
    by_default=False,
)
