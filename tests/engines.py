"""Real engines in simulated time, for tests that need a database with a history."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

from attrs import define

from actors.engine import Engine, EngineSettings
from actors.feeds.synthetic import SyntheticMarket
from actors.messages import EndSession
from actors.runtime.clock import SimulatedClock
from actors.simulation import Simulation
from actors.strategies.registry import build
from actors.venues.sim import SimSettings, SimVenue
from actors.world import Rules
from fsm.instrument import Instrument
from fsm.timestamps import SECOND_US
from fsm.vocabulary import InstrumentKind, TradingMode

START_US = 1_700_000_000 * SECOND_US
BITCOIN = Instrument(
    name="BTC/USDT",
    base="BTC",
    quote="USDT",
    kind=InstrumentKind.PERPETUAL,
    price_tick=Decimal("0.1"),
    qty_step=Decimal("0.0000001"),
    max_leverage=Decimal(5),
)


@define
class SimulatedEngine:
    """An engine with everything that moves it."""

    engine: Engine
    clock: SimulatedClock
    venue: SimVenue
    simulation: Simulation
    market: SyntheticMarket
    database: Path
    ticks: int = 0

    def end(self, reason: str = "duration_elapsed") -> None:
        """A clean end: the session's last turn, tables caught up, files closed."""
        self.engine.inbox.tell_local(EndSession(reason=reason, clean=True, ticks=self.ticks))
        self.simulation.settle()
        self.close()

    def close(self) -> None:
        """Close the files without ending the session, as after a kill that lost nothing."""
        self.engine.close()


def simulated_engine(
    folder: Path,
    *,
    name: str = "holdfast.db",
    seed: int = 1,
    strategies: tuple[str, ...] = ("always-trade-canary",),
    rules: Rules | None = None,
    instrument: Instrument = BITCOIN,
    funds: Decimal = Decimal(1000),
    start_us: int = START_US,
) -> SimulatedEngine:
    """An engine on a new database in `folder`, its session started and reconciled."""
    database = folder / name
    clock = SimulatedClock(start_us)
    settings = SimSettings(
        latency_us=20_000,
        latency_jitter_us=5_000,
        maker_fee_bps=Decimal(1),
        taker_fee_bps=Decimal(5),
    )
    venue = SimVenue([instrument], {instrument.quote: funds}, settings, random.Random(seed))
    engine = Engine(
        EngineSettings(
            database=database,
            mode=TradingMode.PAPER,
            rules=rules or Rules(max_in_flight_us=2 * SECOND_US),
            instruments=(instrument,),
            strategies=tuple((instrument.name, build(each, {})) for each in strategies),
            seed=seed,
        ),
        clock,
        venue,
    )
    engine.journal_inline()
    engine.start()
    simulation = Simulation(engine, clock, venue)
    simulation.settle()
    market = SyntheticMarket([instrument], random.Random(seed), start_us)
    return SimulatedEngine(engine, clock, venue, simulation, market, database)


def run_synthetic(running: SimulatedEngine, seconds: float) -> None:
    """Feed synthetic market data until this much simulated time has passed."""
    until = running.clock.now_us() + int(seconds * SECOND_US)
    while running.clock.now_us() < until:
        running.simulation.feed(next(running.market))
        running.ticks += 1
    running.engine.writer.project_all()
