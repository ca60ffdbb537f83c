"""The field's own words as enums, shared by orders, positions, venues and files.

Responsible for spelling only: what a word does is decided by the machines and the entities.
"""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """Direction of an order or a trade, from the point of view of whoever is named."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell: the sign of the quantity that it adds."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The side that undoes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderRole(StrEnum):
    """Why an order exists; the permission matrix (DESIGN section 3) goes by it."""

    ENTRY = "entry"
    EXIT = "exit"
    QUOTE = "quote"
    EXTERNAL = "external"


class OrderType(StrEnum):
    """Market orders take what is there; limit orders name their worst price."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """How long the venue keeps what it could not fill at once."""

    GTC = "gtc"
    IOC = "ioc"


class InstrumentKind(StrEnum):
    """Spot pair (inventory), perpetual (margin, funding), binary window (shares 0..1)."""

    SPOT = "spot"
    PERPETUAL = "perpetual"
    BINARY = "binary"


class TradingMode(StrEnum):
    """Which venue gateway stands behind the one path from signal to ledger."""

    LIVE = "LIVE"
    PAPER = "PAPER"
    DRY_RUN = "DRY_RUN"
    BACKTEST = "BACKTEST"


class FillStatus(StrEnum):
    """The second axis of a fill: most venues settle at once, some only much later (M06)."""

    PROVISIONAL = "provisional"
    SETTLED = "settled"
    VOIDED = "voided"


class Liquidity(StrEnum):
    """Whether the fill took resting liquidity or was it."""

    MAKER = "maker"
    TAKER = "taker"
    UNKNOWN = "unknown"


class PnlSource(StrEnum):
    """Provenance of a PnL figure (DESIGN section 6)."""

    EXCHANGE = "exchange"
    KERNEL_ESTIMATE = "kernel_estimate"
    INFERRED = "inferred"


class CapitalKind(StrEnum):
    """Why capital came or went by itself, and not by trading (DESIGN section 6)."""

    OPENING = "opening"
    INIT_BASIS = "init_basis"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    BASIS_COMMIT = "basis_commit"
    REALIGNMENT = "realignment"


class HeldOutcome(StrEnum):
    """What a person says became of an order that was held for review."""

    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    FILLED = "filled"


class ExitReason(StrEnum):
    """Why a position is left, in falling priority: an earlier one may raise the urgency."""

    EMERGENCY = "emergency"
    FLATTEN = "flatten"
    OPERATOR = "operator"
    KILL_CRITERION = "kill_criterion"
    STOP = "stop"
    TRAILING_STOP = "trailing_stop"
    TAKE_PROFIT = "take_profit"
    EXPIRY = "expiry"
    STRATEGY = "strategy"

    @property
    def priority(self) -> int:
        """0 is the most urgent."""
        return _EXIT_PRIORITY[self]


_EXIT_PRIORITY = {reason: rank for rank, reason in enumerate(ExitReason)}
