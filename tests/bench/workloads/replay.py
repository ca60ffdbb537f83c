"""Ticks through the engine in simulated time, with 100 open positions whose stops are far away.

Without a strategy; with one that watches (two moving averages, never a signal), which is what the
reference runs too; and with the strategies of a default run, whose signals are journaled and then
refused, because those positions use up the capital cap.

The reference has each stop as an order that rests at its venue and looks at every one of them on
each tick. So it runs without stops too, and ours with its hundred is put beside that as well
(`handicapped`): the harder of the two.
"""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from attrs import define

from actors.settings import DEFAULT_STRATEGIES
from actors.strategies import registry
from actors.strategies.base import Signal, Strategy, Window
from fsm.market import Tick
from tests.bench.driving import PERPETUAL, market_order, place_all, quote_at, simulated
from tests.bench.measuring import Figures, Workload
from tests.bench.recorded import recorded_ticks
from tests.bench.sizes import FAST, POSITIONS, SLOW, START_US, STOP_BELOW
from tests.bench.targets import at_least


@define
class Watching:
    """Two moving averages of the middle price and how often the fast one is above; no signal."""

    name: ClassVar[str] = "watching"
    about: ClassVar[str] = "two moving averages, never a signal"
    lookback_us: int = 1
    fast: float = 0.0
    slow: float = 0.0
    above: int = 0
    ticks: int = 0

    def evaluate(self, window: Window) -> Signal | None:
        """What the reference's strategy does with a tick."""
        tick = window.tick
        assert tick is not None
        assert tick.bid is not None
        assert tick.ask is not None
        middle = (float(tick.bid) + float(tick.ask)) / 2
        self.fast += FAST * (middle - self.fast)
        self.slow += SLOW * (middle - self.slow)
        self.above += self.fast > self.slow
        self.ticks += 1
        return None


def run(folder: Path, size: int) -> Figures:
    """The same ticks three times, with no strategy, the watching one, and the default ones."""
    recorded = recorded_ticks(size)
    stop = min(tick.bid for tick in recorded.ticks if tick.bid is not None) - STOP_BELOW
    alone, _ = _replay(folder / "alone", recorded.ticks, stop, [])
    watching = Watching()
    watched, _ = _replay(folder / "watching", recorded.ticks, stop, [watching])
    assert watching.ticks >= size, f"the strategy saw {watching.ticks} of {size} ticks"
    defaults = [registry.build(name, {}) for name in DEFAULT_STRATEGIES]
    with_defaults, orders = _replay(folder / "strategies", recorded.ticks, stop, defaults)
    return {
        "ticks_per_s": alone,
        "ticks_per_s_strategy": watched,
        "ticks_per_s_handicapped": watched,  # beside the reference without any stop
        "ticks_per_s_defaults": with_defaults,
        "orders_of_defaults": float(orders),
        "recorded_ticks": float(recorded.recorded),
    }


def _replay(
    folder: Path, ticks: list[Tick], stop: Decimal, strategies: list[Strategy]
) -> tuple[float, int]:
    folder.mkdir()
    engine, simulation = simulated(folder, [(PERPETUAL.name, each) for each in strategies])
    simulation.feed(quote_at(START_US, ticks[0].bid, ticks[0].ask))
    place_all(simulation, [market_order(number, stop=stop) for number in range(POSITIONS)])
    sent = engine.release.sent["submit"]
    assert len(engine.world.positions) >= POSITIONS
    started = time.perf_counter()
    for tick in ticks:
        simulation.feed(tick)
    took_s = time.perf_counter() - started
    assert len(engine.world.positions) >= POSITIONS, "a stop was crossed"
    orders = engine.release.sent["submit"] - sent
    engine.close()
    return len(ticks) / took_s, orders


WORKLOAD = Workload(
    name="replay",
    about="recorded ticks, a strategy, 100 open positions with stops far away",
    size=200_000,
    quick_size=20_000,
    headline=("ticks_per_s_strategy", "ticks_per_s_handicapped", "ticks_per_s"),
    run=run,
    compared=("ticks_per_s_strategy", "ticks_per_s_handicapped"),
    targets=(at_least("ticks_per_s_strategy", 0.5), at_least("ticks_per_s_handicapped", 0.5)),
)
