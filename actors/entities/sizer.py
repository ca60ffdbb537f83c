"""The sizer: how much leverage an entry gets, from its conviction and from how trades went.

A port with one built-in. Conviction is size x entry / capital; it is multiplied by what the run of
wins or losses and its own bucket say, and mapped in a straight line from 0.5..9.0 to 1..the cap,
rounded half-even, without any rounding on the way. Leverage costs margin and touches nothing else.

What a sizer learns from is a trade's own realized PnL less its fees (P06): money that comes or goes
while a trade is open, a stranger's fill included, is none of its business. What it has learnt is a
fold of the journal (L7): `Trades` follows positions by their events alone, so that a restart in the
middle of a trade, or a settlement long after its end, leads to the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

from attrs import define, field, frozen

from fsm import events as ev
from fsm.money import ONE, ZERO, divide, plain
from fsm.position import ENDED

CONVICTION_MIN, CONVICTION_MAX = Fraction(1, 2), Fraction(9)
#: A longer run of wins or losses counts as this long.
STREAK_MAX = 64
#: Ended trades that a late fact may still correct; an older one keeps the result that it had.
CORRECTABLE_MAX = 1_024


@frozen(slots=True, kw_only=True)
class SizeRequest:
    """An entry that asks for leverage: `qty` in base units at the price that it would pay, and the
    most that the venue allows for the instrument."""

    strategy: str
    qty: Decimal
    entry_price: Decimal
    leverage_max: Decimal


@frozen(slots=True, kw_only=True)
class SizeDecision:
    """Leverage, and all that led to it. `streak` counts wins above 0 and losses below."""

    leverage: Decimal
    cap: Decimal
    conviction: Decimal
    streak: int
    streak_multiplier: Decimal
    bucket_multiplier: Decimal

    @property
    def told(self) -> str:
        """The decision as the journal keeps it."""
        return (
            f"{plain(self.leverage)}: conviction {plain(round(self.conviction, 8))}, "
            f"streak {self.streak:+d} x {plain(self.streak_multiplier)}, "
            f"bucket x {plain(self.bucket_multiplier)}"
        )


@frozen(slots=True, kw_only=True)
class TradeResult:
    """What a trade brought: realized PnL less fees, quote units; None while a part of it has no
    price yet. `corrects`: the trade was over before, and this is what it brought after all."""

    position_id: str
    strategy: str
    net_quote: Decimal | None
    corrects: bool = False


class Sizer(Protocol):
    """The port."""

    def size(self, request: SizeRequest, capital: Decimal) -> SizeDecision | None:
        """Leverage for an entry at the capital before it, quote units; None where that cannot be
        said (no capital), and then there is no entry (L8)."""

    def feedback(self, result: TradeResult) -> None:
        """A trade is over, or an ended one is corrected."""


@frozen(slots=True, kw_only=True)
class SizerSettings:
    """The cap, and the multipliers: by run of trades (negative: losses), by least conviction."""

    leverage_max: Decimal = Decimal(1_000)
    streaks: Mapping[int, Decimal] = field(factory=dict)
    buckets: Mapping[Decimal, Decimal] = field(factory=dict)


#: Strategy -> its last trades in the order of their end -> what each brought.
Results = dict[str, dict[str, Decimal | None]]


@define(slots=True)
class ConvictionSizer:
    """The built-in sizer. `results` is what it has learnt."""

    settings: SizerSettings = field(factory=SizerSettings)
    results: Results = field(factory=dict)

    def size(self, request: SizeRequest, capital: Decimal) -> SizeDecision | None:
        """See `Sizer`; a capital that is not above 0 has no conviction."""
        if capital <= 0:
            return None
        conviction = Fraction(request.qty) * Fraction(request.entry_price) / Fraction(capital)
        streak = self.streak(request.strategy)
        by_streak = _of_streak(self.settings.streaks, streak)
        by_bucket = _of_bucket(self.settings.buckets, conviction)
        cap = max(int(min(request.leverage_max, self.settings.leverage_max)), 1)
        felt = conviction * Fraction(by_streak) * Fraction(by_bucket)
        return SizeDecision(
            leverage=Decimal(leverage_of(felt, cap)),
            cap=Decimal(cap),
            conviction=divide(Decimal(conviction.numerator), Decimal(conviction.denominator)),
            streak=streak,
            streak_multiplier=by_streak,
            bucket_multiplier=by_bucket,
        )

    def feedback(self, result: TradeResult) -> None:
        """Remember what a trade brought; a correction replaces it where it still counts."""
        results = self.results.setdefault(result.strategy, {})
        if result.corrects and result.position_id not in results:
            return
        results[result.position_id] = result.net_quote
        if len(results) > STREAK_MAX:
            del results[next(iter(results))]

    def streak(self, strategy: str) -> int:
        """Wins (above 0) or losses (below) in a row up to now. A trade that brought nothing ends a
        run; one whose result is not known yet is passed over."""
        streak = 0
        for net in reversed(self.results.get(strategy, {}).values()):
            if net is None:
                continue
            sign = (net > 0) - (net < 0)
            if sign == 0 or streak * sign < 0:
                break
            streak += sign
        return streak


def leverage_of(conviction: Fraction, cap: int) -> int:
    """1 at 0.5 and below, `cap` at 9.0 and above, a straight line between, rounded half-even."""
    within = min(max(conviction, CONVICTION_MIN), CONVICTION_MAX)
    share = (within - CONVICTION_MIN) / (CONVICTION_MAX - CONVICTION_MIN)
    return round(1 + share * (cap - 1))


def _of_streak(table: Mapping[int, Decimal], streak: int) -> Decimal:
    """The multiplier of the longest run in the table that has been reached."""
    reached = [n for n in table if n * streak > 0 and abs(n) <= abs(streak)]
    return table[max(reached, key=abs)] if reached else ONE


def _of_bucket(table: Mapping[Decimal, Decimal], conviction: Fraction) -> Decimal:
    """The multiplier of the highest bucket that the conviction reaches."""
    reached = [least for least in table if Fraction(least) <= conviction]
    return table[max(reached)] if reached else ONE


# ------------------------------------------------------------------------------------------ trades


@define(slots=True)
class Trade:
    """A position of a strategy as its result goes. `unpriced`: parts that have no price yet;
    `counted`: its result was told once, what follows corrects it."""

    strategy: str
    net: Decimal = ZERO
    traded: bool = False
    counted: bool = False
    unpriced: dict[str, None] = field(factory=dict)

    def evolve(self, event: ev.PositionChanged) -> None:
        """Take the totals over; nothing is summed a second time."""
        self.net = event.realized_pnl - event.fees
        self.traded = event.entry_qty > 0
        part = event.trade_id or ""
        if "realized_skipped_no_price" in event.flags:
            self.unpriced[part] = None
        elif event.cause in ("settlement", "void"):
            self.unpriced.pop(part, None)

    def result(self, position_id: str, *, corrects: bool) -> TradeResult:
        """What it brought, as far as that is known."""
        return TradeResult(
            position_id=position_id,
            strategy=self.strategy,
            net_quote=None if self.unpriced else self.net,
            corrects=corrects,
        )


@define(slots=True)
class Trades:
    """Follows every position of a strategy from its opening to its end, and a while beyond."""

    open: dict[str, Trade] = field(factory=dict)
    ended: dict[str, Trade] = field(factory=dict)

    def apply(self, event: Any) -> TradeResult | None:
        """Fold one event of a position; the result where the trade is over by it, or corrected."""
        kind = type(event)
        if kind is ev.PositionOpened:
            if event.strategy is not None:
                self.open[event.position_id] = Trade(event.strategy)
            return None
        if kind is not ev.PositionChanged and kind is not ev.PositionMoved:
            return None
        position_id = event.position_id
        trade = self.open.get(position_id) or self.ended.get(position_id)
        if trade is None:
            return None
        if kind is ev.PositionChanged:
            trade.evolve(event)
        over = event.state in ENDED
        if over and self.open.pop(position_id, None) is not None:
            self.ended[position_id] = trade
            if len(self.ended) > CORRECTABLE_MAX:
                del self.ended[next(iter(self.ended))]
        if trade.counted:
            corrected = kind is ev.PositionChanged
            return trade.result(position_id, corrects=True) if corrected else None
        if not (over and trade.traded):
            return None
        trade.counted = True
        return trade.result(position_id, corrects=False)
