"""What open orders hold back and what open positions have in the market, one value each."""

from __future__ import annotations

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
