"""What open orders hold back and what open positions have in the market, one value each."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal

from attrs import define

from fsm.money import ZERO

#: What is added here is taken away again later; enough digits that nothing is lost in between.
EXACT = Context(prec=200)


@define(slots=True)
class Reserve:
    """What one live order holds back: its rest at the price by which funds are reserved."""

    asset: str
    price: Decimal
    rest: Decimal

    @property
    def amount(self) -> Decimal:
        return EXACT.multiply(self.rest, self.price) if self.rest > 0 else ZERO


@define(slots=True)
class Exposure:
    """What one open position has in the market, quote units."""

    notional: Decimal
    margin: Decimal


def summed(reserves: Iterable[Reserve], exposures: Iterable[Exposure]) -> dict[str, Decimal]:
    """What all of them come to, summed from nothing; zeros are left out."""
    sums: dict[str, Decimal] = {"margin": ZERO, "notional": ZERO}
    for reserve in reserves:
        key = f"reserved {reserve.asset}"
        sums[key] = EXACT.add(sums.get(key, ZERO), reserve.amount)
    for exposure in exposures:
        for name in ("margin", "notional"):
            sums[name] = EXACT.add(sums[name], getattr(exposure, name))
    return {key: value for key, value in sums.items() if value}
