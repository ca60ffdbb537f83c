"""The engine that ours is measured beside: NautilusTrader's backtest, in memory, unhindered.

`python -m tests.bench.reference WORKLOAD SIZE` does the same as our workload of that name, checks
that all of it was done, and prints its figures as one JSON line. Logging is bypassed, so are risk
checks and with them the rate limits; no analysis after the run. Nothing is written to a disk: this
engine has no journal, which is the difference that the ratio is about.

One account, netting; the orders' instrument, prices, quantities and fees are those of
`tests.bench.driving`. The replay alone uses hedging, because netting has one position and it is
about a hundred.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from decimal import Decimal

from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.config import RiskEngineConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    PositionOpened,
)
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from fsm.market import Tick
from tests.bench.recorded import recorded_ticks
from tests.bench.sizes import ASK, BID, FAST, POSITIONS, QTY, QUOTE_PRICE, SLOW, STOP_BELOW

Figures = dict[str, float]
_SIM = Venue("SIM")
_START_NS = 1_700_000_000 * 10**9
_PERPETUAL = CryptoPerpetual(
    instrument_id=InstrumentId(Symbol("BTCUSDT"), _SIM),
    raw_symbol=Symbol("BTCUSDT"),
    base_currency=BTC,
    quote_currency=USDT,
    settlement_currency=USDT,
    is_inverse=False,
    price_precision=1,
    price_increment=Price.from_str("0.1"),
    size_precision=7,
    size_increment=Quantity.from_str("0.0000001"),
    maker_fee=Decimal("0.0001"),
    taker_fee=Decimal("0.0005"),
    margin_init=Decimal("0.05"),
    margin_maint=Decimal("0.025"),
    ts_event=0,
    ts_init=0,
)
_ID = _PERPETUAL.id
_QTY = _PERPETUAL.make_qty(QTY)
_DEEP = _PERPETUAL.make_qty(Decimal(10**9))


def _engine(kind: OmsType = OmsType.NETTING) -> BacktestEngine:
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("BENCH-001"),
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )
    # Its money is a double with eight decimals: more than ten million would not add up exactly.
    engine.add_venue(
        _SIM,
        kind,
        AccountType.MARGIN,
        [Money(10_000_000, USDT)],
        base_currency=USDT,
        default_leverage=Decimal(5),
    )
    engine.add_instrument(_PERPETUAL)
    return engine


def _quote(at_ns: int, bid: Decimal = BID, ask: Decimal = ASK) -> QuoteTick:
    return QuoteTick(
        _ID, _PERPETUAL.make_price(bid), _PERPETUAL.make_price(ask), _DEEP, _DEEP, at_ns, at_ns
    )


def _timed(engine: BacktestEngine, strategy: Strategy, ticks: Sequence[QuoteTick]) -> float:
    """Seconds of the run alone: data and strategy are loaded before."""
    engine.add_data(list(ticks))
    engine.add_strategy(strategy)
    started = time.perf_counter()
    engine.run()
    return time.perf_counter() - started


def _a_tick_an_order(size: int) -> list[QuoteTick]:
    return [_quote(_START_NS + number * 1_000_000) for number in range(size + 2)]


class _Orders(Strategy):
    """One order at the market with each tick; the sides as given, in turn."""

    def __init__(self, size: int, sides: Sequence[OrderSide]) -> None:
        super().__init__()
        self.size, self.sides, self.sent, self.filled = size, sides, 0, Decimal(0)

    def on_start(self) -> None:
        self.subscribe_quote_ticks(_ID)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        if self.sent < self.size:
            side = self.sides[self.sent % len(self.sides)]
            self.sent += 1
            self.submit_order(self.order_factory.market(_ID, side, _QTY))

    def on_order_filled(self, event: OrderFilled) -> None:
        self.filled += event.last_qty.as_decimal()


def _market_orders(size: int, sides: Sequence[OrderSide]) -> Figures:
    engine, strategy = _engine(), _Orders(size, sides)
    took_s = _timed(engine, strategy, _a_tick_an_order(size))
    closed = engine.cache.orders_closed_count()
    assert closed == size, f"{closed} of {size} orders came to their end"
    return {
        "orders_per_s": size / took_s,
        "filled_qty": float(strategy.filled),
        "seconds": took_s,
    }


class _Quotes(Strategy):
    """One limit order with each tick, cancelled as soon as it is accepted."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.sent, self.canceled = size, 0, 0

    def on_start(self) -> None:
        self.subscribe_quote_ticks(_ID)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        if self.sent < self.size:
            self.sent += 1
            price = _PERPETUAL.make_price(QUOTE_PRICE)
            self.submit_order(self.order_factory.limit(_ID, OrderSide.BUY, _QTY, price))

    def on_order_accepted(self, event: OrderAccepted) -> None:
        self.cancel_order(self.cache.order(event.client_order_id))

    def on_order_canceled(self, event: OrderCanceled) -> None:
        self.canceled += 1


def _quotes(size: int) -> Figures:
    engine, strategy = _engine(), _Quotes(size)
    took_s = _timed(engine, strategy, _a_tick_an_order(size))
    return {
        "quotes_per_s": size / took_s,
        "canceled": float(strategy.canceled),
        "seconds": took_s,
    }


class _Watching(Strategy):
    """A hundred positions, with a stop each or without, then two moving averages on each tick; no
    signal is acted on. The clock starts with the first tick after the positions are as wanted."""

    def __init__(self, trigger: Decimal | None) -> None:
        super().__init__()
        self.trigger, self.started, self.ready, self.ready_at = trigger, False, 0, 0.0
        self.ticks, self.above = 0, 0
        self.fast = self.slow = 0.0

    def on_start(self) -> None:
        self.subscribe_quote_ticks(_ID)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        if self.ready < POSITIONS:
            if not self.started:
                self.started = True
                for _ in range(POSITIONS):
                    self.submit_order(self.order_factory.market(_ID, OrderSide.BUY, _QTY))
            return
        if not self.ticks:
            self.ready_at = time.perf_counter()
        self.ticks += 1
        middle = (tick.bid_price.as_double() + tick.ask_price.as_double()) / 2
        self.fast += FAST * (middle - self.fast)
        self.slow += SLOW * (middle - self.slow)
        self.above += self.fast > self.slow

    def on_position_opened(self, event: PositionOpened) -> None:
        if self.trigger is None:
            self.ready += 1
            return
        trigger = _PERPETUAL.make_price(self.trigger)
        self.submit_order(
            self.order_factory.stop_market(_ID, OrderSide.SELL, _QTY, trigger, reduce_only=True),
            position_id=event.position_id,
        )

    def on_order_accepted(self, event: OrderAccepted) -> None:
        self.ready += self.cache.order(event.client_order_id).is_reduce_only


def _replay(size: int) -> Figures:
    """With the stops resting at the venue, as ours has them; and without any, which is faster."""
    recorded = recorded_ticks(size)
    stop = min(tick.bid for tick in recorded.ticks) - STOP_BELOW
    with_stops = _watched(recorded.ticks, stop)
    without = _watched(recorded.ticks, None)
    return {"ticks_per_s_strategy": with_stops, "ticks_per_s_handicapped": without}


def _watched(recorded: Sequence[Tick], stop: Decimal | None) -> float:
    """Ticks a second."""
    first = recorded[0]
    opening = [
        _quote((first.event_us - 3_000 + n * 1_000) * 1_000, first.bid, first.ask) for n in range(3)
    ]
    ticks = [_quote(tick.event_us * 1_000, tick.bid, tick.ask) for tick in recorded]
    engine, strategy = _engine(OmsType.HEDGING), _Watching(stop)
    _timed(engine, strategy, opening + ticks)
    took_s = time.perf_counter() - strategy.ready_at
    positions, stops = engine.cache.positions_open_count(), engine.cache.orders_open_count()
    assert positions == POSITIONS, f"{positions} positions are open, wanted {POSITIONS}"
    assert stops == (POSITIONS if stop is not None else 0), f"{stops} stops rest"
    assert strategy.ticks >= len(recorded), f"{strategy.ticks} of {len(recorded)} ticks were seen"
    return strategy.ticks / took_s


_KINDS: dict[str, Callable[[int], Figures]] = {
    "market_orders": lambda size: _market_orders(size, [OrderSide.BUY]),
    "market_orders_alternating": lambda size: _market_orders(size, [OrderSide.BUY, OrderSide.SELL]),
    "quotes": _quotes,
    "replay": _replay,
}

if __name__ == "__main__":
    print(json.dumps(_KINDS[sys.argv[1]](int(sys.argv[2]))))
