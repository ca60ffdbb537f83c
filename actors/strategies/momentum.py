"""`momentum`: follows a move of the middle price over a look-back, with a trailing stop."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from attrs import define

from actors.strategies.base import BPS, Signal, Window, price_at
from fsm.money import divide
from fsm.timestamps import SECOND_US
from fsm.vocabulary import Side


@define(slots=True, kw_only=True)
class Momentum:
    """Parameters: look-back in s, the move that counts in bps, size, trailing distance in bps."""

    name: ClassVar[str] = "momentum"
    about: ClassVar[str] = "enters with the move over a look-back, leaves by a trailing stop"

    lookback_s: Decimal = Decimal(5)
    threshold_bps: Decimal = Decimal(4)
    notional: Decimal = Decimal(4)
    stop_bps: Decimal = Decimal(12)
    trailing_bps: Decimal = Decimal(5)
    pause_s: Decimal = Decimal(3)
    lookback_us: int = 5 * SECOND_US
    _acted_us: int | None = None

    def __attrs_post_init__(self) -> None:
        self.lookback_us = int(self.lookback_s * SECOND_US)

    def evaluate(self, window: Window) -> Signal | None:
        """A signal when the move is large enough and the pause is over."""
        mid = window.mid
        if mid is None or len(window.mids) < 2:
            return None
        then_us, then = window.mids[0]
        if window.now_us - then_us < self.lookback_us // 2:
            return None
        if self._acted_us is not None and window.now_us - self._acted_us < self.pause_s * SECOND_US:
            return None
        move_bps = divide((mid - then) * BPS, then)
        if abs(move_bps) < self.threshold_bps or (
            move_bps < 0 and not window.instrument.is_margined
        ):
            return None
        self._acted_us = window.now_us
        side = Side.BUY if move_bps > 0 else Side.SELL
        return Signal(
            side=side,
            notional=self.notional,
            trailing=mid * self.trailing_bps / BPS,
            stop=price_at(mid, self.stop_bps, -side.sign, window.instrument),
            inputs={
                "move_bps": f"{move_bps:.3f}",
                "lookback_s": str(self.lookback_s),
                "mid": str(mid),
                "mid_then": str(then),
            },
        )
