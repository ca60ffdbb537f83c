"""How the simulated venue behaves: latency, fees, liquidity and limits."""

from __future__ import annotations

from decimal import Decimal

from attrs import Attribute, field, frozen

from fsm.money import ZERO

#: What the venue computes with a rate or a quotient (fees, realized PnL, margin, funding) is
#: rounded half-even to this step, so that balances stay exact sums of what it reported.
MONEY_STEP = Decimal("0.000000000001")

_BPS = Decimal("0.0001")


def _not_negative(_instance: object, attribute: Attribute[int], value: int) -> None:
    if value < 0:
        raise ValueError(f"{attribute.name} must not be negative: {value}")


def _positive(_instance: object, attribute: Attribute[int], value: int) -> None:
    if value < 1:
        raise ValueError(f"{attribute.name} must be at least 1: {value}")


def _rate(_instance: object, attribute: Attribute[Decimal], value: Decimal) -> None:
    if not isinstance(value, Decimal) or abs(value) >= 10_000:
        raise ValueError(f"{attribute.name} must be a Decimal below 10000 bps: {value!r}")


@frozen(slots=True, kw_only=True)
class SimSettings:
    """Frozen behaviour of a `SimVenue`.

    `latency_us` plus a uniform 0..`latency_jitter_us` passes on each way; both ways are streams,
    so that neither reorders (reordering is a fault for the chaos layer). Fees are in basis points
    of the notional, a rebate is negative. With `partial_fill` off, sizes do not limit fills.
    `fills_lateness_us` is how long a fill stays hidden from `QueryFills`. A taker walks at most
    `walk_levels_max` price steps; the last one holds any size. Beyond `in_flight_max` undelivered
    events the venue turns requests away.
    """

    latency_us: int = field(default=0, validator=_not_negative)
    latency_jitter_us: int = field(default=0, validator=_not_negative)
    maker_fee_bps: Decimal = field(default=ZERO, validator=_rate)
    taker_fee_bps: Decimal = field(default=ZERO, validator=_rate)
    partial_fill: bool = True
    fills_lateness_us: int = field(default=0, validator=_not_negative)
    walk_levels_max: int = field(default=20, validator=_positive)
    in_flight_max: int = field(default=100_000, validator=_positive)

    @property
    def maker_rate(self) -> Decimal:
        """Maker fee as a fraction of the notional."""
        return self.maker_fee_bps * _BPS

    @property
    def taker_rate(self) -> Decimal:
        """Taker fee as a fraction of the notional."""
        return self.taker_fee_bps * _BPS

    @property
    def worst_rate(self) -> Decimal:
        """What a reservation sets aside for the fee, whichever it will be; never negative."""
        return max(self.maker_rate, self.taker_rate, ZERO)
