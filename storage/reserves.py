"""What one open order holds back."""

from __future__ import annotations

from decimal import Decimal

from attrs import define

from fsm.money import EXACT, ZERO


@define(slots=True)
class Reserve:
    """The rest of a live order at the price by which funds are reserved."""

    asset: str
    price: Decimal
    rest: Decimal

    @property
    def amount(self) -> Decimal:
        return EXACT.multiply(self.rest, self.price) if self.rest > 0 else ZERO
