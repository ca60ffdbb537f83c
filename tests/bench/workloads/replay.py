"""Ticks through the engine in simulated time, with 100 open positions whose stops are far away."""

from __future__ import annotations

import random
import time
from decimal import Decimal
from pathlib import Path

from actors.feeds.synthetic import SyntheticMarket
from actors.settings import DEFAULT_STRATEGIES
from actors.strategies import registry
from fsm.market import Tick
from tests.bench.driving import BID, PERPETUAL, START_US, market_order, place_all, simulated
from tests.bench.measuring import Figures, Workload

_POSITIONS = 100


def run(folder: Path, size: int) -> Figures:
    """The same ticks without any strategy, and with the strategies of a default run."""
    ticks = _ticks(size)
    alone, _ = _replay(folder / "alone", ticks, ())
    with_strategies, orders = _replay(folder / "strategies", ticks, DEFAULT_STRATEGIES)
    return {
        "ticks_per_s": alone,
        "ticks_per_s_strategies": with_strategies,
        "orders_of_strategies": float(orders),
    }


def _ticks(count: int) -> list[Tick]:
    market = SyntheticMarket([PERPETUAL], random.Random(1), START_US, start_prices=_PRICES)
    found: list[Tick] = []
    for data in market:
        if isinstance(data, Tick):
            found.append(data)
            if len(found) == count:
                break
    return found


_PRICES = {PERPETUAL.name: BID}


def _replay(folder: Path, ticks: list[Tick], strategies: tuple[str, ...]) -> tuple[float, int]:
    folder.mkdir()
    pairs = [(PERPETUAL.name, registry.build(name, {})) for name in strategies]
    engine, simulation = simulated(folder, pairs)
    stop = Decimal(100)
    place_all(simulation, [market_order(number, stop=stop) for number in range(_POSITIONS)])
    sent = engine.release.sent["submit"]
    assert len(engine.world.positions) >= _POSITIONS
    started = time.perf_counter()
    for tick in ticks:
        simulation.feed(tick)
    took_s = time.perf_counter() - started
    assert len(engine.world.positions) >= _POSITIONS, "a stop was crossed"
    orders = engine.release.sent["submit"] - sent
    engine.close()
    return len(ticks) / took_s, orders


WORKLOAD = Workload(
    name="replay",
    about="synthetic ticks, 100 open positions with stops far away",
    size=100_000,
    quick_size=5_000,
    headline=("ticks_per_s", "ticks_per_s_strategies"),
    run=run,
)
