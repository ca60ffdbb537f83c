"""`always-trade-canary`: trades on a clock, to show that the whole path works.

It has no opinion. It alternates sides where the instrument can be sold short, and sets a close
stop, a close target and an expiry, so that each of them is seen to work within minutes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from attrs import define

from actors.strategies.base import Signal, Window, price_at
from fsm.timestamps import SECOND_US
from fsm.vocabulary import Side


@define(slots=True, kw_only=True)
class AlwaysTradeCanary:
    """Parameters: seconds between entries, size in quote units, distances in bps, life in s."""

    name: ClassVar[str] = "always-trade-canary"
    about: ClassVar[str] = "enters on a clock with a close stop, target and expiry"

    every_s: Decimal = Decimal(2)
    notional: Decimal = Decimal(4)
    stop_bps: Decimal = Decimal(6)
    target_bps: Decimal = Decimal(6)
    hold_s: Decimal = Decimal(10)
    lookback_us: int = 0
    _entered_us: int | None = None
    _count: int = 0

    def evaluate(self, window: Window) -> Signal | None:
        """A signal when its time has come."""
        tick, mid = window.tick, window.mid
        if tick is None or tick.bid is None or tick.ask is None or mid is None:
            return None
        if (
            self._entered_us is not None
            and window.now_us - self._entered_us < self.every_s * SECOND_US
        ):
            return None
        self._entered_us = window.now_us
        self._count += 1
        short = window.instrument.is_margined and self._count % 2 == 0
        side = Side.SELL if short else Side.BUY
        price = tick.bid if short else tick.ask
        return Signal(
            side=side,
            notional=self.notional,
            stop=price_at(price, self.stop_bps, -side.sign, window.instrument),
            take_profit=price_at(price, self.target_bps, side.sign, window.instrument),
            expires_in_us=int(self.hold_s * SECOND_US),
            inputs={
                "entry_number": str(self._count),
                "mid": str(mid),
                "every_s": str(self.every_s),
            },
        )
