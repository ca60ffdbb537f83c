"""What happened to positions: opening, quantity, decisions, protection, end."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from fsm.position import PositionState
from fsm.vocabulary import (
    ExitReason,
    PnlSource,
    Side,
    TradingMode,
)


@frozen(slots=True, kw_only=True)
class PositionOpened:
    """A position exists from its first entry order on, with its protection (X13).

    `stop` and `take_profit` are prices, `trailing` is a distance in quote units. `inventory`
    marks the one position a strategy's quotes book into.
    """

    position_id: str
    session_id: str
    mode: TradingMode
    instrument: str
    side: Side
    strategy: str | None
    signal_id: str | None
    stop: Decimal | None
    take_profit: Decimal | None
    trailing: Decimal | None
    expires_at_us: int | None
    min_qty: Decimal
    leverage: Decimal = Decimal(1)
    inventory: bool = False

    @property
    def stream(self) -> str:
        return f"position/{self.position_id}"


@frozen(slots=True, kw_only=True)
class PositionChanged:
    """Its quantity changed, with the arithmetic: signed quantities, basis, gross realized PnL.

    `realized_delta` = closed quantity x (price - basis), side-signed and leverage-free; fees are
    kept apart, in quote units. `realized_source` is where this delta comes from, `pnl_source`
    where all of the position's realized PnL does. `cash_delta` is what a settlement moves in quote
    units: its fill came without a price, and moved none. `venue_us`: when the venue closed it by
    itself, or stated the figures of that; 0 where an order's fill tells the time.
    """

    position_id: str
    instrument: str
    cause: str
    client_order_id: str | None
    trade_id: str | None
    state: PositionState
    qty_delta: Decimal
    price: Decimal | None
    fee_quote: Decimal
    qty: Decimal
    entry_qty: Decimal
    exit_qty: Decimal
    basis_price: Decimal | None
    basis_before: Decimal | None
    realized_delta: Decimal
    realized_pnl: Decimal
    fees: Decimal
    pnl_source: PnlSource
    stop: Decimal | None
    flags: tuple[str, ...] = ()
    realized_source: PnlSource = PnlSource.KERNEL_ESTIMATE
    cash_delta: Decimal = Decimal(0)
    venue_us: int = 0

    @property
    def stream(self) -> str:
        return f"position/{self.position_id}"


@frozen(slots=True, kw_only=True)
class PnlCompared:
    """The venue stated its own realized PnL (gross) of a trade that was booked by its price.

    `agrees`: within the tolerance; the figure is the exchange's from here on. Otherwise our
    estimate stays as it is and an anomaly says so: nothing is booked again.
    """

    position_id: str
    client_order_id: str
    trade_id: str
    estimate: Decimal
    exchange: Decimal
    agrees: bool
    pnl_source: PnlSource

    @property
    def stream(self) -> str:
        return f"position/{self.position_id}"


@frozen(slots=True, kw_only=True)
class PositionMoved:
    """A step without a change of quantity: entries died, the last order ended, engine cancel."""

    position_id: str
    trigger: str
    state: PositionState
    reason: str = ""
    flags: tuple[str, ...] = ()

    @property
    def stream(self) -> str:
        return f"position/{self.position_id}"


@frozen(slots=True, kw_only=True)
class ExitDecided:
    """The one exit decision of a position (L6), or a higher reason that raises its urgency.

    `threshold` is the level that was crossed, `bid`/`ask` the quote that crossed it.
    """

    position_id: str
    state: PositionState
    trigger: str
    reason: ExitReason
    bid: Decimal | None
    ask: Decimal | None
    threshold: Decimal | None
    event_us: int
    rung: int = 0
    note: str = ""

    @property
    def stream(self) -> str:
        return f"position/{self.position_id}"


@frozen(slots=True, kw_only=True)
class ProtectionMoved:
    """The trailing stop was drawn closer; journaled so that a restart keeps it (X13)."""

    position_id: str
    stop: Decimal
    watermark: Decimal
    event_us: int

    @property
    def stream(self) -> str:
        return f"position/{self.position_id}"
