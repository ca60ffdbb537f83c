"""What happened to orders: intent, request, answers, executions, ends."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from fsm.order import OrderState
from fsm.vocabulary import (
    ExitReason,
    FillStatus,
    Liquidity,
    OrderRole,
    OrderType,
    PnlSource,
    Side,
    TimeInForce,
    TradingMode,
)


@frozen(slots=True, kw_only=True)
class OrderIntended:
    """The intent that explains a request; durable before the request leaves (L1).

    `reserve_price` is the book's price at the decision, by which a market order without a limit
    reserves funds, or the limit. What was *intended* is the limit of a limit order and the book's
    price of a market order: a protective limit is no intention. `rung` counts the exit ladder from
    0.
    """

    client_order_id: str
    role: OrderRole
    instrument: str
    side: Side
    type: OrderType
    qty: Decimal
    limit_price: Decimal | None
    session_id: str
    mode: TradingMode
    position_id: str | None
    strategy: str | None = None
    signal_id: str | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    leverage: Decimal = Decimal(1)
    reserve_price: Decimal | None = None
    exit_reason: ExitReason | None = None
    rung: int = 0

    @property
    def stream(self) -> str:
        return f"order/{self.client_order_id}"


@frozen(slots=True, kw_only=True)
class OrderSent:
    """The request left for the venue."""

    client_order_id: str
    state: OrderState

    @property
    def stream(self) -> str:
        return f"order/{self.client_order_id}"


@frozen(slots=True, kw_only=True)
class OrderAcknowledged:
    """The venue has it: an acknowledgement, or a query that found it open (`found`)."""

    client_order_id: str
    position_id: str | None
    state: OrderState
    venue_order_id: str | None
    found: bool = False

    @property
    def stream(self) -> str:
        return f"order/{self.client_order_id}"


@frozen(slots=True, kw_only=True)
class OrderFilled:
    """One execution, booked on evidence (L2). `price` is the true price or None."""

    client_order_id: str
    position_id: str | None
    trade_id: str
    instrument: str
    side: Side
    role: OrderRole
    qty: Decimal
    price: Decimal | None
    fee: Decimal
    fee_asset: str | None
    status: FillStatus
    liquidity: Liquidity
    venue_us: int
    session_id: str
    state: OrderState
    filled_qty: Decimal
    avg_price: Decimal | None
    fees: Decimal
    late: bool = False
    overfill: bool = False
    order_price: Decimal | None = None
    provenance: PnlSource = PnlSource.EXCHANGE
    fetched: bool = False
    """A query of ours brought it: the stream may tell the same without a trade id."""
    timeless: bool = False
    """The venue told no time: `venue_us` is when it was booked."""
    realized_pnl: Decimal | None = None
    """What the venue says that it realized, gross of the fee; compared, never added."""
    slippage_quote: Decimal | None = None
    """(price - intended) x quantity, side-signed: positive where it was worse; None where the
    price or what was intended is not known."""

    @property
    def stream(self) -> str:
        return f"order/{self.client_order_id}"


@frozen(slots=True, kw_only=True)
class OrderFillPaired:
    """A booked fill is known by another name as well: it was told with and without a trade id."""

    client_order_id: str
    trade_id: str
    other_id: str

    @property
    def stream(self) -> str:
        return f"order/{self.client_order_id}"


@frozen(slots=True, kw_only=True)
class OrderFillForetold:
    """A void or a settlement came before the trade that it names: it waits for that trade."""

    client_order_id: str
    trade_id: str
    voided: bool
    realized_pnl: Decimal | None = None
    fee: Decimal | None = None

    @property
    def stream(self) -> str:
        return f"order/{self.client_order_id}"


@frozen(slots=True, kw_only=True)
class OrderFillSettled:
    """A fill is final; quantity is unchanged. `fee` is what the venue says the trade cost in the
    end, `fee_delta` how much of it was not booked with the fill (X11)."""

    client_order_id: str
    position_id: str | None
    trade_id: str
    realized_pnl: Decimal | None
    fee: Decimal | None
    instrument: str = ""
    qty: Decimal = Decimal(0)
    price: Decimal | None = None
    fee_delta: Decimal = Decimal(0)
    fee_asset: str | None = None
    venue_us: int = 0
    """When the venue made the trade; 0: it told no time."""

    @property
    def stream(self) -> str:
        return f"order/{self.client_order_id}"


@frozen(slots=True, kw_only=True)
class OrderFillVoided:
    """A fill was taken back: this event reverses it, the old one stays (M06)."""

    client_order_id: str
    position_id: str | None
    trade_id: str
    instrument: str
    side: Side
    qty: Decimal
    price: Decimal | None
    fee: Decimal
    fee_asset: str | None
    state: OrderState
    filled_qty: Decimal
    avg_price: Decimal | None
    fees: Decimal
    provenance: PnlSource = PnlSource.EXCHANGE
    slippage_quote: Decimal | None = None
    """What the fill's was: it is taken back with it."""

    @property
    def stream(self) -> str:
        return f"order/{self.client_order_id}"


@frozen(slots=True, kw_only=True)
class OrderMoved:
    """Any other step of an order: cancels, ends, doubts. `trigger` is the machine's word."""

    client_order_id: str
    position_id: str | None
    trigger: str
    state: OrderState
    reason: str = ""
    who: str | None = None

    @property
    def stream(self) -> str:
        return f"order/{self.client_order_id}"
