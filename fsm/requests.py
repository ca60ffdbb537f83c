"""What the engine asks of a venue. Every request leaves only after its intent is durable (L1)."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from fsm.vocabulary import OrderType, Side, TimeInForce


@frozen(slots=True, kw_only=True)
class Submit:
    """Place an order. `leverage` matters for margined instruments only."""

    client_order_id: str
    instrument: str
    side: Side
    qty: Decimal
    type: OrderType
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    leverage: Decimal = Decimal(1)


@frozen(slots=True, kw_only=True)
class Cancel:
    """Cancel an order by the client's id; the venue's own id goes along when it is known."""

    client_order_id: str
    instrument: str
    venue_order_id: str | None = None


@frozen(slots=True, kw_only=True)
class QueryOrder:
    """Ask for one order by the client's id. Answered by `OrderAnswer`."""

    request_id: str
    client_order_id: str
    instrument: str
    venue_order_id: str | None = None


@frozen(slots=True, kw_only=True)
class QueryOpenOrders:
    """Ask for all open orders of the account. Answered by `OpenOrdersAnswer`."""

    request_id: str


@frozen(slots=True, kw_only=True)
class QueryFills:
    """Ask for the account's fills of one instrument, oldest first.

    `since_us` is inclusive, in the venue's clock; at most `limit` fills come back, and
    `complete=False` in the answer says that more follow from its last fill's time on.
    """

    request_id: str
    instrument: str
    since_us: int
    limit: int = 1000


@frozen(slots=True, kw_only=True)
class QueryBalances:
    """Ask for the balance of every asset. Answered by `BalancesAnswer`."""

    request_id: str


@frozen(slots=True, kw_only=True)
class QueryPositions:
    """Ask for the open positions of margined instruments. Answered by `PositionsAnswer`."""

    request_id: str


Query = QueryOrder | QueryOpenOrders | QueryFills | QueryBalances | QueryPositions
VenueRequest = Submit | Cancel | Query
