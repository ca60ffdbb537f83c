"""An engine that trades two instruments through a `Network`, and what must be equal afterwards."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import define, field

from actors import messages as msg
from actors.engine import Engine, EngineSettings
from actors.feeds.synthetic import SyntheticMarket
from actors.runtime.clock import SimulatedClock
from actors.simulation import Simulation
from actors.strategies.registry import build
from actors.venues.sim import SimSettings, SimVenue
from actors.world import Rules
from fsm import events as ev
from fsm.instrument import Instrument
from fsm.order import TERMINAL
from fsm.timestamps import SECOND_US
from fsm.vocabulary import InstrumentKind, OrderRole, OrderType, Side, TradingMode
from storage.journal import JournalReader
from storage.verify import verify
from tests.engines import BITCOIN, START_US
from tests.outage.network import FAIR, Network, Weather

RIPPLE = Instrument(
    name="XRP/USDT",
    base="XRP",
    quote="USDT",
    kind=InstrumentKind.SPOT,
    price_tick=Decimal("0.00001"),
    qty_step=Decimal("0.0001"),
)
_IN_FLIGHT_S, _LOOKED_BACK = 4, 30
RULES = Rules(
    max_in_flight_us=_IN_FLIGHT_S * SECOND_US,
    max_position_usd=Decimal(50),
    max_session_loss=Decimal(100_000),
    daily_drawdown=Decimal(100_000),
    balances_interval_us=60 * SECOND_US,
    orders_per_minute_max=None,
)
_SAME = {"filled": "FILLED", "canceled": "CANCELED", "expired": "EXPIRED", "rejected": "REJECTED"}
#: A rejected order that the stream did not tell of, and one that never arrived.
_NEVER_LIVED = {"REJECTED", "EXPIRED", "CANCELED"}


@define
class Rig:
    """One database, one venue, one network; a seed decides the market and what people do."""

    folder: Path
    seed: int
    canary: bool = True
    stops: bool = True
    is_trading: bool = True
    rng: random.Random = field(init=False)
    clock: SimulatedClock = field(factory=lambda: SimulatedClock(START_US))
    network: Network = field(init=False)
    engine: Engine = field(init=False)
    simulation: Simulation = field(init=False)
    market: SyntheticMarket = field(init=False)
    placed: int = 0

    def __attrs_post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        sim = SimSettings(
            latency_us=20_000,
            latency_jitter_us=10_000,
            maker_fee_bps=Decimal(1),
            taker_fee_bps=Decimal(5),
        )
        specs, funds = (BITCOIN, RIPPLE), {"USDT": Decimal(10_000), "XRP": Decimal(0)}
        venue = SimVenue(specs, funds, sim, random.Random(self.seed))
        self.network = Network(venue, self.clock)
        canary = build("always-trade-canary", {"every_s": Decimal(5), "hold_s": Decimal(20)})
        self.engine = Engine(
            EngineSettings(
                database=self.folder / "outage.db",
                mode=TradingMode.PAPER,
                rules=RULES,
                instruments=specs,
                strategies=((BITCOIN.name, canary),) if self.canary else (),
                seed=self.seed,
            ),
            self.clock,
            self.network,
        )
        self.engine.journal_inline()
        # A power cut is not what this is about, and thousands of turns are committed.
        self.engine.writer.conn.execute("PRAGMA synchronous = OFF")
        self.engine.start()
        self.simulation = Simulation(self.engine, self.clock, self.network)
        self.simulation.settle()
        self.market = SyntheticMarket(specs, self.rng, START_US, interval_us=500_000)

    # ------------------------------------------------------------------------------- what is done

    def trade(self, seconds: int) -> None:
        """Let time and market pass; a person places limit orders and takes some of them back."""
        until_us = self.clock.now_us() + seconds * SECOND_US
        while self.clock.now_us() < until_us:
            self.simulation.feed(next(self.market))
            if self.is_trading and self.rng.random() < 0.08:
                self._a_person_does_something()
        self.simulation.settle()

    def _a_person_does_something(self) -> None:
        world = self.engine.world
        live = [o for o in world.live_orders() if o.role is OrderRole.ENTRY]
        quote = world.quote(RIPPLE.name)
        if len(live) > 4 or (live and self.rng.random() < 0.3):
            self._tell(msg.CancelOrder(self.rng.choice(live).client_order_id, "changed my mind"))
        elif quote is not None and quote.bid is not None:
            self.placed += 1
            away = Decimal(self.rng.randrange(0, 30)) / 10_000
            price = (quote.bid * (1 - away)).quantize(RIPPLE.price_tick)
            stop = (price * Decimal("0.997")).quantize(RIPPLE.price_tick)
            self._tell(
                msg.PlaceOrder(
                    client_order_id=f"p{self.placed}", role=OrderRole.ENTRY,
                    instrument=RIPPLE.name, side=Side.BUY, qty=Decimal(self.rng.randrange(5, 4000)),
                    type=OrderType.LIMIT, limit_price=price, stop=stop if self.stops else None,
                )
            )  # fmt: skip

    def _tell(self, command: object) -> None:
        self.engine.inbox.command(msg.Ask(command, "person"))
        self.simulation.settle()

    def outage(self, weather: Weather, seconds: int) -> list[ev.Event]:
        """The network is like this for a while; what was journaled meanwhile."""
        before = self.engine.writer.head.seq
        self.network.becomes(weather)
        self.trade(seconds)
        during = self.events(before)
        self.network.becomes(FAIR)
        return during

    def rest(self, passes: int) -> None:
        """Nothing new is placed; once the last request has arrived or never will, so many passes
        begin and end."""
        self.is_trading = False
        self.engine.world.disabled_strategies.add("always-trade-canary")
        self.trade(_IN_FLIGHT_S + 1)
        reconciler = self.engine.books.reconciler
        begun = reconciler.passes
        for _ in range(120):
            if reconciler.passes > begun + passes and reconciler.current is None:
                break
            self.trade(1)

    def resume(self) -> None:
        """Trading goes on."""
        self.is_trading = True
        self.engine.world.disabled_strategies.clear()

    # ------------------------------------------------------------------------------- what is seen

    def events(self, after: int = 0) -> list[ev.Event]:
        """What the journal holds behind a seq."""
        reader = JournalReader.open(self.folder / "outage.db")
        try:
            return [recorded.event for recorded in reader.events(after)]
        finally:
            reader.close()

    def phantoms(self) -> list[str]:
        """What the books claim, and the venue has not done, at this moment: nothing, ever."""
        exchange = self.network.venue.exchange
        found = []
        for name, times in self.network.submits.items():
            if times > 1:
                found.append(f"{name} left {times} times")
        for name, order in self.engine.world.orders.items():
            theirs = exchange.find(name)
            filled = theirs.filled_qty if theirs is not None else Decimal(0)
            if order.filled_qty > filled:
                found.append(f"{name}: {order.filled_qty} booked, {filled} filled")
        for name in [*exchange.open, *list(self.network.submits)[-_LOOKED_BACK:]]:
            ours, theirs = self.engine.books.order(name), exchange.find(name)
            if ours is None or theirs is None or ours.state not in TERMINAL:
                continue
            if _SAME.get(theirs.state) != ours.state:
                found.append(f"{name}: {ours.state} in the books, {theirs.state} at the venue")
        return found

    def differences(self) -> list[str]:
        """What differs between the books and the venue: orders, fills, balances, positions."""
        found, books, exchange = self.phantoms(), self.engine.books, self.network.venue.exchange
        for name in self.network.submits:
            ours, theirs = books.order(name), exchange.find(name)
            assert ours is not None
            found += _order_differs(name, ours, theirs)
        ledger = self.engine.world.ledger
        for asset in sorted(set(ledger.totals) | set(exchange.funds.totals)):
            ours_total = ledger.totals.get(asset, Decimal(0))
            total = exchange.funds.totals.get(asset, Decimal(0))
            if abs(ours_total - total) > Decimal("0.000001"):
                found.append(f"{asset}: {ours_total} in the books, {total} at the venue")
        held = sum(
            (p.qty for p in self.engine.world.positions.values() if p.instrument == BITCOIN.name),
            Decimal(0),
        )
        position: Any = exchange.funds.positions.get(BITCOIN.name)
        if held != (position.qty if position is not None else 0):
            found.append(f"position: {held} in the books, {position} at the venue")
        return found

    def proven(self) -> None:
        """The journal keeps every law; the files are closed."""
        self.engine.writer.project_all()
        self.engine.writer.keep_head(force=True)
        report = verify(self.folder / "outage.db")
        self.engine.close()
        assert [] == list(report.problems), report


def _order_differs(name: str, ours: Any, theirs: Any) -> list[str]:
    if theirs is None:
        return [] if ours.state in _NEVER_LIVED else [f"{name}: {ours.state}, never arrived"]
    found = []
    if ours.filled_qty != theirs.filled_qty:
        found.append(f"{name}: {ours.filled_qty} booked, {theirs.filled_qty} filled")
    expected = _SAME.get(theirs.state)
    if expected is None and ours.state not in ("WORKING", "PARTIALLY_FILLED"):
        found.append(f"{name}: {ours.state}, open at the venue")
    if expected is not None and expected != ours.state:
        found.append(f"{name}: {ours.state}, {theirs.state} at the venue")
    return found
