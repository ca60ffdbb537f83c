"""What a venue says. Facts change books; answers carry evidence for the reconciler.

Three-valued answers (L3): `Found`, `Absent` and `Unavailable` are different types, so that a
failed query cannot be taken for an absence.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Generic, TypeVar

from attrs import field, frozen

from fsm.money import ZERO
from fsm.vocabulary import FillStatus, Liquidity, OrderType, Side

T = TypeVar("T")


# --------------------------------------------------------------------------- facts on the stream


@frozen(slots=True, kw_only=True)
class OrderAccepted:
    """The venue has the order and it rests, or it is about to be matched."""

    client_order_id: str | None = None
    venue_order_id: str | None = None
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class OrderRejected:
    """The venue refused the order for good: it never existed there."""

    client_order_id: str | None = None
    venue_order_id: str | None = None
    reason: str = ""
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class OrderFill:
    """One execution. `price` is the true price or None, never the order's nominal price.

    `fee` is a cost (positive) in `fee_asset`; a rebate is negative. `order_price` is what the
    venue repeats of the order and is never booked (P01). Routed by ids first; `instrument` and
    `side` only serve facts without any order id (P09).
    """

    trade_id: str | None
    qty: Decimal
    price: Decimal | None
    client_order_id: str | None = None
    venue_order_id: str | None = None
    instrument: str | None = None
    side: Side | None = None
    fee: Decimal = ZERO
    fee_asset: str | None = None
    status: FillStatus = FillStatus.SETTLED
    liquidity: Liquidity = Liquidity.UNKNOWN
    order_price: Decimal | None = None
    realized_pnl: Decimal | None = None
    venue_us: int = 0
    fetched: bool = field(default=False, eq=False, repr=False)
    """A query of ours brought it, not the stream: then it may be one that came without a name."""


@frozen(slots=True, kw_only=True)
class OrderCanceled:
    """The venue confirms that the order is off its book by a cancel."""

    client_order_id: str | None = None
    venue_order_id: str | None = None
    reason: str = ""
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class OrderExpired:
    """The venue took the order off its book by its own rule (IOC rest, time in force)."""

    client_order_id: str | None = None
    venue_order_id: str | None = None
    reason: str = ""
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class CancelRefused:
    """The cancel was not carried out: filled already, unknown order, too late."""

    client_order_id: str | None = None
    venue_order_id: str | None = None
    reason: str = ""
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class FillSettled:
    """A provisional fill became final, or the venue states its realized PnL (gross of the fee)."""

    trade_id: str
    client_order_id: str | None = None
    venue_order_id: str | None = None
    realized_pnl: Decimal | None = None
    fee: Decimal | None = None
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class FillVoided:
    """A fill that the venue had reported did not happen after all (M06)."""

    trade_id: str
    client_order_id: str | None = None
    venue_order_id: str | None = None
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class OutcomeUnknown:
    """The gateway cannot tell whether a submit arrived: time-out, 5xx, cut connection (L4)."""

    client_order_id: str
    reason: str


@frozen(slots=True, kw_only=True)
class CancelUnanswered:
    """The gateway cannot tell whether a cancel arrived; evidence has to decide."""

    client_order_id: str
    reason: str


@frozen(slots=True, kw_only=True)
class BalanceReport:
    """The venue's balance of one asset: a report to compare with, not a booking."""

    asset: str
    total: Decimal
    free: Decimal | None = None
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class PositionReport:
    """The venue's position of one margined instrument; `qty` carries the sign (short < 0)."""

    instrument: str
    qty: Decimal
    avg_price: Decimal | None = None
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class FundingPaid:
    """A funding payment on a perpetual; `amount` in quote units, positive when received."""

    instrument: str
    amount: Decimal
    funding_id: str | None = None
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class InstrumentResolved:
    """The venue settles an instrument for good: every unit of it pays `payout` quote units.

    Any value, not only 0 and 1: a void market pays 0.5 (M09). `resolution_id` is the venue's own.
    """

    instrument: str
    payout: Decimal
    resolution_id: str | None = None
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class PositionClosed:
    """The venue, or somebody at the venue, traded a position away without an order of ours.

    `reason` is the venue's word: liquidation, adl, manual, ... Without `qty` all that is open is
    gone (base units, positive). `price` is the true price or None. The position by our id, or the
    only open one of `instrument`.
    """

    position_id: str | None = None
    instrument: str | None = None
    reason: str = ""
    qty: Decimal | None = None
    price: Decimal | None = None
    trade_id: str | None = None
    fee: Decimal = ZERO
    fee_asset: str | None = None
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class UnknownExecution:
    """An execution report of a type that we do not know: no trade, no payment, kept (X27)."""

    execution_type: str
    client_order_id: str | None = None
    venue_order_id: str | None = None
    instrument: str | None = None
    text: str = ""
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class VenueConnected:
    """The session with the venue is up; what was missed meanwhile has to be asked for."""

    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class VenueDisconnected:
    """The session is down. A lost stream alone changes no order."""

    reason: str = ""


OrderFact = (
    OrderAccepted
    | OrderRejected
    | OrderFill
    | OrderCanceled
    | OrderExpired
    | CancelRefused
    | FillSettled
    | FillVoided
    | OutcomeUnknown
    | CancelUnanswered
)
SessionFact = (
    BalanceReport
    | PositionReport
    | FundingPaid
    | InstrumentResolved
    | PositionClosed
    | UnknownExecution
    | VenueConnected
    | VenueDisconnected
)


# ------------------------------------------------------------------------------ answers (L3)


@frozen(slots=True)
class Found(Generic[T]):
    """The venue answered, and this is what it has."""

    value: T


@frozen(slots=True)
class Absent:
    """The venue answered, and does not have it; `proof` says how we know."""

    proof: str


@frozen(slots=True)
class Unavailable:
    """No usable answer. Changes no state, ever (L3)."""

    reason: str


@frozen(slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue reports it. `state`: open, filled, canceled, expired, rejected."""

    venue_order_id: str
    client_order_id: str | None
    instrument: str
    side: Side
    qty: Decimal
    filled_qty: Decimal
    state: str
    type: OrderType = OrderType.LIMIT
    price: Decimal | None = None
    reason: str = ""
    venue_us: int = 0


@frozen(slots=True, kw_only=True)
class FillsPage:
    """Fills oldest first. When not `complete`, ask again from the last fill's time on."""

    fills: tuple[OrderFill, ...]
    complete: bool = True


@frozen(slots=True, kw_only=True)
class OrderAnswer:
    """Answer to `QueryOrder`."""

    request_id: str
    client_order_id: str
    result: Found[VenueOrder] | Absent | Unavailable


@frozen(slots=True, kw_only=True)
class OpenOrdersAnswer:
    """Answer to `QueryOpenOrders`. An empty book is `Found(())`, never `Absent`."""

    request_id: str
    result: Found[tuple[VenueOrder, ...]] | Unavailable


@frozen(slots=True, kw_only=True)
class FillsAnswer:
    """Answer to `QueryFills`."""

    request_id: str
    instrument: str
    result: Found[FillsPage] | Unavailable


@frozen(slots=True, kw_only=True)
class BalancesAnswer:
    """Answer to `QueryBalances`: asset to total."""

    request_id: str
    result: Found[dict[str, Decimal]] | Unavailable


@frozen(slots=True, kw_only=True)
class PositionsAnswer:
    """Answer to `QueryPositions`; instruments without a position are left out."""

    request_id: str
    result: Found[tuple[PositionReport, ...]] | Unavailable


VenueAnswer = OrderAnswer | OpenOrdersAnswer | FillsAnswer | BalancesAnswer | PositionsAnswer
VenueMessage = OrderFact | SessionFact | VenueAnswer
