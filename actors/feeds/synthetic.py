"""A synthetic market that is alive: what `run` trades on when nobody names a data file.

Each instrument walks on its own: drift by regimes, volatility that bursts and calms down, a
spread that reverts to its mean, quiet times, gaps without a tick, trades printing at bid or ask,
and a weak pull towards the start price so that a run of weeks stays in sight of it.

Everything is a function of the seed. Floats stay inside the walk; what leaves is quantised to the
instrument's `price_tick` and `qty_step`. Not responsible for pacing: it goes as fast as it is read.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from heapq import heapify, heapreplace

from fsm.instrument import Instrument
from fsm.market import MarketData, MarketTrade, Tick
from fsm.vocabulary import InstrumentKind, Side

INTERVAL_US_DEFAULT = 50_000

_DOLLARS = frozenset(("USD", "USDT", "USDC", "FDUSD", "RLUSD", "DAI"))
_DOLLAR_PRICES = {
    "XRP": Decimal("0.5213"),
    "BTC": Decimal(61800),
    "ETH": Decimal(2650),
    "SOL": Decimal(155),
    "FET": Decimal("0.86"),
}
_FALLBACK_PRICE = Decimal(100)
_BINARY_PRICE = Decimal("0.5")

_BPS = 1e-4
#: Per square root of a second, at activity 1, when calm.
_VOLATILITY_BPS = 3.0
_DRIFT_BPS_PER_S = (3.0, 9.0)
_REGIME_S_MEAN = 6.0
_QUIET_CHANCE = 0.12
_BURST_S_MEAN, _BURST_DECAY_S = 20.0, 2.5
_GAP_S_MEAN, _GAP_S = 75.0, (2.5, 4.2)
_SPREAD_BPS, _SPREAD_REVERSION_S = 1.6, 3.0
_PULL_S = 900.0
_TRADE_CHANCE = 0.35
#: Typical visible value at the best price, in quote units.
_DEPTH_QUOTE = 4_000.0


def default_start_price(instrument: Instrument) -> Decimal:
    """Where an instrument begins that nobody gave a price: 0.5 for a binary, 100 for strangers."""
    if instrument.kind is InstrumentKind.BINARY:
        return _BINARY_PRICE
    if instrument.quote in _DOLLARS:
        return _DOLLAR_PRICES.get(instrument.base, _FALLBACK_PRICE)
    return _FALLBACK_PRICE


class SyntheticMarket:
    """An endless iterator of market data in strictly increasing `event_us`.

    `rng` is consumed once an instrument, in the order given: one seed, one market, and the walk
    of one instrument does not depend on when the others tick. `start_us` is the first event's
    time (UTC microseconds). `start_prices` by instrument name go before the defaults: after a
    restart, hand in `last_prices()` and the market goes on where it was. `interval_us` is the
    mean time between the ticks of one instrument in lively times (50,000: about 20 a second);
    `activity` scales all movement: 1 gives swings of tens of bps within seconds, 0 none.

    Raises ValueError for no instruments, a name given twice, a price that is not above zero (of
    a binary: between 0 and 1), an interval below 1 ms, or an activity outside 0..20.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        rng: random.Random,
        start_us: int,
        start_prices: Mapping[str, Decimal] | None = None,
        *,
        interval_us: int = INTERVAL_US_DEFAULT,
        activity: float = 1.0,
    ) -> None:
        names = [instrument.name for instrument in instruments]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"name at least one instrument, and none twice: {names}")
        if interval_us < 1_000:
            raise ValueError(f"interval_us must be at least 1000, not {interval_us}")
        if not 0 <= activity <= 20:
            raise ValueError(f"activity must be from 0 to 20, not {activity}")
        given = start_prices or {}
        self._walks = [
            _Walk(
                instrument,
                random.Random(rng.getrandbits(64)),
                given.get(instrument.name, default_start_price(instrument)),
                interval_us,
                activity,
            )
            for instrument in instruments
        ]
        self._due = [(start_us, rank) for rank in range(len(self._walks))]
        heapify(self._due)
        self._last_us = start_us - 1

    def __iter__(self) -> Iterator[MarketData]:
        return self

    def __next__(self) -> MarketData:
        due_us, rank = self._due[0]
        event_us = max(due_us, self._last_us + 1)
        self._last_us = event_us
        item, wait_us = self._walks[rank].step(event_us)
        heapreplace(self._due, (event_us + wait_us, rank))
        return item

    def last_prices(self) -> dict[str, Decimal]:
        """The middle of each instrument's last quote, for `start_prices` after a restart."""
        return {walk.instrument.name: walk.price() for walk in self._walks}


class _Walk:
    """One instrument's state. `step` gives its next event and the wait until the one after."""

    def __init__(
        self,
        instrument: Instrument,
        rng: random.Random,
        start: Decimal,
        interval_us: int,
        activity: float,
    ) -> None:
        self.instrument = instrument
        self._tick = instrument.price_tick
        self._highest: int | None = None
        if instrument.kind is InstrumentKind.BINARY:
            self._highest = int(1 / self._tick) - 1
        if not start.is_finite() or start <= 0 or (self._highest is not None and start >= 1):
            raise ValueError(f"start price {start} of {instrument.name} is not possible")
        self._tick_float = float(self._tick)
        self._step_float = float(instrument.qty_step)
        self._rng = rng
        self._interval_us = interval_us
        self._activity = activity
        self._anchor = math.log(float(start))
        self._log_price = self._anchor
        self._burst = 1.0
        self._spread_bps = _SPREAD_BPS
        self._drift_bps_per_s = 0.0
        self._quiet = False
        self._regime_left_s = 0.0
        self._since_tick_s = 0.0
        self._trade_pending = False
        self._trades = 0
        self._bid_steps, self._ask_steps = self._quote_steps()

    def price(self) -> Decimal:
        """The middle of the last quote; may lie half a price tick off the grid."""
        return Decimal(self._bid_steps + self._ask_steps) * self._tick / 2

    def step(self, event_us: int) -> tuple[MarketData, int]:
        """The event at `event_us`, and the microseconds until the next one."""
        if self._trade_pending:
            self._trade_pending = False
            item: MarketData = self._trade(event_us)
        else:
            self._move(self._since_tick_s)
            item = self._quote(event_us)
            self._trade_pending = self._rng.random() < _TRADE_CHANCE / (3 if self._quiet else 1)
            if self._trade_pending:
                wait_us = self._rng.randint(200, max(201, self._interval_us // 10))
                self._since_tick_s = wait_us / 1e6
                return item, wait_us
            self._since_tick_s = 0.0
        wait_us = self._wait_us()
        self._since_tick_s += wait_us / 1e6
        return item, wait_us

    def _wait_us(self) -> int:
        rng = self._rng
        wait_us = self._interval_us * min(0.25 + 0.75 * rng.expovariate(1.0), 4.0)
        if self._quiet:
            wait_us *= 4
        if rng.random() < wait_us / (_GAP_S_MEAN * 1e6):
            wait_us += rng.uniform(*_GAP_S) * 1e6
        return max(1, int(wait_us))

    def _move(self, elapsed_s: float) -> None:
        """Let `elapsed_s` pass: the regime, the volatility, the spread, the price."""
        rng = self._rng
        self._regime_left_s -= elapsed_s
        if self._regime_left_s <= 0:
            self._new_regime()
        if rng.random() < elapsed_s / _BURST_S_MEAN:
            self._burst = rng.uniform(2.5, 5.0)
        self._burst = 1.0 + (self._burst - 1.0) * math.exp(-elapsed_s / _BURST_DECAY_S)
        calm = 0.25 if self._quiet else 1.0
        drift = self._drift_bps_per_s * _BPS * elapsed_s - (self._log_price - self._anchor) * min(
            elapsed_s / _PULL_S, 1.0
        )
        noise = _VOLATILITY_BPS * _BPS * self._burst * calm * math.sqrt(elapsed_s)
        self._log_price += self._activity * (drift + noise * rng.gauss(0.0, 1.0))
        target = _SPREAD_BPS * self._burst
        revert = 1.0 - math.exp(-elapsed_s / _SPREAD_REVERSION_S)
        shock = 0.15 * self._spread_bps * rng.gauss(0.0, 1.0)
        self._spread_bps += (target - self._spread_bps) * revert + shock * math.sqrt(revert)
        self._spread_bps = min(max(self._spread_bps, 0.2), 25.0)
        self._bid_steps, self._ask_steps = self._quote_steps()

    def _new_regime(self) -> None:
        rng = self._rng
        self._regime_left_s = 1.0 + rng.expovariate(1.0 / (_REGIME_S_MEAN - 1.0))
        self._quiet = rng.random() < _QUIET_CHANCE
        if self._quiet:
            self._drift_bps_per_s = 0.0
            return
        direction = 1.0 if rng.random() < 0.5 else -1.0
        self._drift_bps_per_s = direction * rng.uniform(*_DRIFT_BPS_PER_S)

    def _quote_steps(self) -> tuple[int, int]:
        """Bid and ask as numbers of price ticks: at least one apart, never below one."""
        middle = math.exp(self._log_price) / self._tick_float
        half = max(middle * self._spread_bps * _BPS / 2, 0.5)
        bid = max(round(middle - half), 1)
        ask = max(round(middle + half), bid + 1)
        if self._highest is not None and ask > self._highest:
            ask = max(self._highest, 2)
            bid = min(bid, ask - 1)
        return bid, ask

    def _quote(self, event_us: int) -> Tick:
        return Tick(
            instrument=self.instrument.name,
            bid=Decimal(self._bid_steps) * self._tick,
            ask=Decimal(self._ask_steps) * self._tick,
            bid_size=self._size(_DEPTH_QUOTE),
            ask_size=self._size(_DEPTH_QUOTE),
            event_us=event_us,
            recv_us=event_us,
        )

    def _trade(self, event_us: int) -> MarketTrade:
        """A taker who leans with the trend: buys print at the ask, sells at the bid."""
        leaning = 0.5 + 0.25 * math.tanh(self._drift_bps_per_s / 5.0)
        side = Side.BUY if self._rng.random() < leaning else Side.SELL
        steps = self._ask_steps if side is Side.BUY else self._bid_steps
        self._trades += 1
        return MarketTrade(
            instrument=self.instrument.name,
            price=Decimal(steps) * self._tick,
            qty=self._size(_DEPTH_QUOTE / 8),
            side=side,
            event_us=event_us,
            recv_us=event_us,
            trade_id=f"{event_us}-{self._trades}",
        )

    def _size(self, value_quote: float) -> Decimal:
        """A size worth about `value_quote`, a multiple of the quantity step, never zero."""
        quantity = value_quote * self._rng.lognormvariate(0.0, 0.7) / math.exp(self._log_price)
        return max(round(quantity / self._step_float), 1) * self.instrument.qty_step
