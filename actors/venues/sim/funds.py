"""The account at the venue: balances, what orders reserve, positions and their margin.

Every movement of a total is exactly what a fill or a funding payment reported, so that totals are
sums of facts. Liquidation is left out for now: a position may lose more than its margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import define, field

from actors.venues.sim.orders import SimOrder
from actors.venues.sim.settings import MONEY_STEP
from fsm.instrument import Instrument
from fsm.money import ZERO, decimal_from, divide
from fsm.vocabulary import Side


@define(slots=True, eq=False)
class SimPosition:
    """A margined position. `qty` carries the sign, `avg_price` is the average entry price."""

    qty: Decimal = ZERO
    avg_price: Decimal = ZERO
    leverage: Decimal = field(factory=lambda: Decimal(1))
    margin: Decimal = ZERO


class Funds:
    """Totals per asset, and what of them is not free."""

    __slots__ = ("held", "margin", "positions", "totals")

    def __init__(self, totals: Mapping[str, Decimal]) -> None:
        self.totals = {asset: decimal_from(total) for asset, total in totals.items()}
        #: By asset, reserved for open orders; derived, never stored.
        self.held: dict[str, Decimal] = {}
        #: By asset, the initial margin of positions; derived, never stored.
        self.margin: dict[str, Decimal] = {}
        self.positions: dict[str, SimPosition] = {}

    def free(self, asset: str) -> Decimal:
        """What a new order may use of an asset."""
        total = self.totals.get(asset, ZERO)
        return total - self.held.get(asset, ZERO) - self.margin.get(asset, ZERO)

    def move(self, asset: str, amount: Decimal) -> None:
        """Add to a total (negative takes away)."""
        self.totals[asset] = self.totals.get(asset, ZERO) + amount

    def reserve(self, order: SimOrder, asset: str, amount: Decimal) -> None:
        """Make `amount` of `asset` what the order holds, more or less than before."""
        change = amount - order.reserved
        if change:
            order.reserved = amount
            self.held[asset] = self.held.get(asset, ZERO) + change

    def closable(self, instrument: str, side: Side) -> Decimal:
        """How much an order of that side would close of a margined position."""
        position = self.positions.get(instrument)
        if position is None:
            return ZERO
        return max(ZERO, -position.qty * side.sign)

    def book_spot(
        self, instrument: Instrument, side: Side, price: Decimal, qty: Decimal, fee: Decimal
    ) -> None:
        """Exchange base for quote; the fee is taken from the quote asset."""
        if side is Side.BUY:
            self.move(instrument.base, qty)
            self.move(instrument.quote, -(qty * price) - fee)
        else:
            self.move(instrument.base, -qty)
            self.move(instrument.quote, qty * price - fee)

    def book_perpetual(
        self, instrument: Instrument, order: SimOrder, price: Decimal, qty: Decimal, fee: Decimal
    ) -> Decimal:
        """Move the position; realized PnL (returned, gross) less the fee goes to the wallet."""
        position = self.positions.setdefault(instrument.name, SimPosition())
        signed = qty * order.side.sign
        closed = min(qty, self.closable(instrument.name, order.side))
        realized = ZERO
        if closed:
            gain = (position.avg_price - price) * closed * order.side.sign
            realized = gain.quantize(MONEY_STEP).normalize()
        opened = qty - closed
        if opened:
            position.leverage = order.leverage
            if closed or not position.qty:  # flat, or through zero: a new position
                position.avg_price = price
            else:
                before = abs(position.qty)
                cost = before * position.avg_price + opened * price
                position.avg_price = divide(cost, before + opened)
        position.qty += signed
        if not position.qty:
            position.avg_price = ZERO
        self.move(instrument.quote, realized - fee)
        self.hold_margin(instrument, position)
        return realized

    def hold_margin(self, instrument: Instrument, position: SimPosition) -> None:
        """Initial margin abs(qty) * entry price / leverage, in the quote asset."""
        notional = abs(position.qty) * position.avg_price
        margin = divide(notional, position.leverage).quantize(MONEY_STEP)
        asset = instrument.quote
        self.margin[asset] = self.margin.get(asset, ZERO) + margin - position.margin
        position.margin = margin
