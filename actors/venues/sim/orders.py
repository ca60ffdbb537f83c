"""One order as the venue holds it, and why it refuses one before looking at the market."""

from __future__ import annotations

from decimal import Decimal

from attrs import define

from fsm.facts import VenueOrder
from fsm.instrument import Instrument
from fsm.money import ZERO, plain
from fsm.requests import Submit
from fsm.vocabulary import InstrumentKind, OrderType, Side

OPEN, FILLED, CANCELED, EXPIRED, REJECTED = "open", "filled", "canceled", "expired", "rejected"


@define(slots=True, eq=False, kw_only=True)
class SimOrder:
    """An order at the venue. `number` is its time priority and the digits of its venue id.

    `target` is how much of `qty` may fill (less than `qty` for a capped reduce-only order),
    `closing` the part of the rest that only closes a position and so needs no margin, `reserved`
    what it holds of the free balance, `queue_ahead` what others had displayed at its price when
    it joined, less what has traded there since. `submits` counts submits with its client id.
    """

    client_order_id: str
    number: int
    instrument: str
    side: Side
    type: OrderType
    qty: Decimal
    limit_price: Decimal | None
    reduce_only: bool
    leverage: Decimal
    created_us: int
    target: Decimal
    filled_qty: Decimal = ZERO
    state: str = OPEN
    reason: str = ""
    closing: Decimal = ZERO
    reserved: Decimal = ZERO
    queue_ahead: Decimal = ZERO
    submits: int = 1
    venue_order_id: str = ""

    def __attrs_post_init__(self) -> None:
        self.venue_order_id = f"V{self.number:06d}"

    @property
    def rest(self) -> Decimal:
        """What may still fill."""
        return self.target - self.filled_qty

    def report(self, now_us: int) -> VenueOrder:
        """The order as a query shows it."""
        return VenueOrder(
            venue_order_id=self.venue_order_id,
            client_order_id=self.client_order_id,
            instrument=self.instrument,
            side=self.side,
            qty=self.qty,
            filled_qty=self.filled_qty,
            state=self.state,
            type=self.type,
            price=self.limit_price,
            reason=self.reason,
            venue_us=now_us,
        )


def refusal(submit: Submit, instrument: Instrument | None) -> str | None:
    """Why the submit is malformed for its instrument, or None. Looks at no market and no funds."""
    if instrument is None:
        return f"unknown instrument {submit.instrument!r}"
    if instrument.kind is InstrumentKind.BINARY:
        # The one door for binary windows: when they are simulated, this check goes.
        return "binary instruments are not simulated yet"
    qty = submit.qty
    if not _is_amount(qty):
        return "qty must be positive and below 1e15"
    if instrument.qty_step > 0 and qty % instrument.qty_step:
        return f"qty is not a multiple of {plain(instrument.qty_step)}"
    if qty < instrument.min_qty and not submit.reduce_only:
        return f"qty is below the minimum {plain(instrument.min_qty)}"
    if submit.type is OrderType.LIMIT:
        price = submit.limit_price
        if price is None or not _is_amount(price):
            return "limit order without a positive price below 1e15"
        if instrument.price_tick > 0 and price % instrument.price_tick:
            return f"price is not a multiple of {plain(instrument.price_tick)}"
    elif submit.post_only:
        return "post only order would take"
    leverage = submit.leverage
    if instrument.is_margined and not (
        _is_amount(leverage) and leverage <= instrument.max_leverage
    ):
        return f"leverage is not within 0..{plain(instrument.max_leverage)}"
    return None


def _is_amount(value: Decimal) -> bool:
    """Positive, and small enough that sums and products of it stay exact."""
    return value.is_finite() and value > 0 and value.adjusted() < 15
