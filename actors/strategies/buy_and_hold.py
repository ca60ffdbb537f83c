"""`buy_and_hold`: buys once and keeps it; the control that other strategies are compared with."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from attrs import define

from actors.strategies.base import Signal, Window
from fsm.vocabulary import Side


@define(slots=True, kw_only=True)
class BuyAndHold:
    """Parameter: size in quote units. Protected by the door's default stop only."""

    name: ClassVar[str] = "buy_and_hold"
    about: ClassVar[str] = "buys once, holds; the control"

    notional: Decimal = Decimal(4)
    lookback_us: int = 0
    _bought: bool = False

    def evaluate(self, window: Window) -> Signal | None:
        """One signal at the first two-sided quote."""
        if self._bought or window.mid is None:
            return None
        self._bought = True
        return Signal(side=Side.BUY, notional=self.notional, inputs={"mid": str(window.mid)})
