"""The steps of a scenario file, one frozen value a kind. Their words are in `words.py`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from actors.chaos.words import FaultKind, Level, QueryKind, Result, Us
from fsm.money import ONE, ZERO
from fsm.vocabulary import (
    CapitalKind,
    ExitReason,
    FillStatus,
    HeldOutcome,
    OrderRole,
    OrderType,
    Side,
    TimeInForce,
)


@frozen(kw_only=True)
class SubmitStep:
    """The engine is told to place this order. An id that is missing is the engine's to refuse."""

    role: OrderRole = OrderRole.ENTRY
    instrument: str
    side: Side
    qty: Decimal
    type: OrderType = OrderType.MARKET
    client_order_id: str = ""
    limit_price: Decimal | None = None
    position: str | None = None
    leverage: Decimal = ONE
    reduce_only: bool = False
    strategy: str | None = None
    stop: Decimal | None = None
    take_profit: Decimal | None = None
    trailing: Decimal | None = None
    expires_in: Us | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False


@frozen(kw_only=True)
class SignalStep:
    """A strategy's signal through the whole path."""

    strategy: str
    instrument: str
    side: Side
    qty: Decimal | None = None
    notional: Decimal | None = None
    stop: Decimal | None = None
    take_profit: Decimal | None = None
    trailing: Decimal | None = None
    expires_in: Us | None = None


@frozen(kw_only=True)
class ExitStep:
    """A wish to leave a position."""

    position: str
    reason: ExitReason = ExitReason.OPERATOR


@frozen(kw_only=True)
class CancelStep:
    """A cancel wish for one order."""

    client_order_id: str
    reason: str = "scenario"


@frozen(kw_only=True)
class NamedTrade:
    """One of `trades` that a person names."""

    trade_id: str
    qty: Decimal
    price: Decimal | None = None
    fee: Decimal = ZERO
    fee_asset: str | None = None


@frozen(kw_only=True)
class ResolveStep:
    """A person says what became of a held order."""

    client_order_id: str
    as_: HeldOutcome
    evidence: str = "scenario"
    who: str = "scenario"
    trades: tuple[NamedTrade, ...] = ()


@frozen(kw_only=True)
class ResetStep:
    """A person opens a guard."""

    guard: str
    who: str = "scenario"
    why: str = "scenario"


@frozen(kw_only=True)
class CapitalStep:
    """Capital came or went by itself. `prices` are those of an initial basis."""

    event: CapitalKind
    asset: str = ""
    amount: Decimal = ZERO
    price: Decimal | None = None
    prices: Mapping[str, Decimal] = field(factory=dict)
    ref: str = ""
    who: str = "scenario"
    why: str = "scenario"
    accept_breaches: bool = True


@frozen(kw_only=True)
class TickStep:
    """One quote; a side that is left out is missing in the market."""

    instrument: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    last: Decimal | None = None


@frozen(kw_only=True)
class Named:
    """Which order a venue event is about."""

    client_order_id: str | None = None
    venue_order_id: str | None = None
    role: OrderRole | None = None
    position: str | None = None


@frozen(kw_only=True)
class OrderEvent(Named):
    """accepted, rejected, canceled, expired, cancel_refused."""

    event: str
    reason: str = ""


@frozen(kw_only=True)
class FillEvent(Named):
    """One execution; without `price` the venue did not tell it."""

    event: str
    qty: Decimal
    trade_id: str | None = None
    price: Decimal | None = None
    order_price: Decimal | None = None
    fee: Decimal = ZERO
    fee_asset: str | None = None
    realized_pnl: Decimal | None = None
    status: FillStatus = FillStatus.SETTLED
    instrument: str | None = None
    side: Side | None = None
    age: Us | None = None
    """How long ago it happened, by the venue's clock."""


@frozen(kw_only=True)
class TradeEvent(Named):
    """settled, voided."""

    event: str
    trade_id: str
    realized_pnl: Decimal | None = None
    fee: Decimal | None = None


@frozen(kw_only=True)
class BalanceEvent:
    """The venue reports a balance."""

    event: str
    asset: str
    total: Decimal
    free: Decimal | None = None


@frozen(kw_only=True)
class PositionEvent:
    """The venue reports a position."""

    event: str
    instrument: str
    side: Side
    qty: Decimal
    avg_price: Decimal | None = None


@frozen(kw_only=True)
class FundingEvent:
    """A funding payment, positive when received."""

    event: str
    instrument: str
    amount: Decimal
    funding_id: str | None = None


@frozen(kw_only=True)
class ResolvedEvent:
    """An instrument pays out, for good."""

    event: str
    instrument: str
    payout: Decimal
    resolution_id: str | None = None


@frozen(kw_only=True)
class ClosedEvent:
    """A position was closed at the venue; without `qty` all of it."""

    event: str
    position: str
    reason: str = ""
    price: Decimal | None = None
    trade_id: str | None = None
    qty: Decimal | None = None
    fee: Decimal = ZERO
    fee_asset: str | None = None


@frozen(kw_only=True)
class ExecutionEvent(Named):
    """An execution report of a type that nobody knows."""

    event: str
    type: str
    instrument: str | None = None
    text: str = ""


@frozen(kw_only=True)
class SessionEvent:
    """connected, disconnected."""

    event: str
    reason: str = ""


VENUE_EVENTS: dict[str, type] = {
    **dict.fromkeys(("accepted", "rejected", "canceled", "expired", "cancel_refused"), OrderEvent),
    "fill": FillEvent,
    **dict.fromkeys(("settled", "voided"), TradeEvent),
    "balance": BalanceEvent,
    "position": PositionEvent,
    "funding": FundingEvent,
    "resolved": ResolvedEvent,
    "closed": ClosedEvent,
    "execution": ExecutionEvent,
    **dict.fromkeys(("disconnected", "connected"), SessionEvent),
}


@frozen(kw_only=True)
class ReportedOrder:
    """One of `orders` in an answer about open orders."""

    instrument: str
    side: Side
    qty: Decimal
    venue_order_id: str | None = None
    client_order_id: str | None = None
    filled_qty: Decimal = ZERO
    price: Decimal | None = None


@frozen(kw_only=True)
class ReportedFill:
    """One of `fills` in an answer about fills."""

    trade_id: str
    qty: Decimal
    price: Decimal | None = None
    venue_order_id: str | None = None
    client_order_id: str | None = None
    fee: Decimal = ZERO
    fee_asset: str | None = None
    instrument: str | None = None
    side: Side | None = None


@frozen(kw_only=True)
class ReportedPosition:
    """One of `positions` in an answer about positions."""

    instrument: str
    side: Side
    qty: Decimal
    avg_price: Decimal | None = None


@frozen(kw_only=True)
class AnswerStep:
    """What the venue will answer from now on."""

    query: QueryKind
    result: Result
    client_order_id: str | None = None
    instrument: str | None = None
    reason: str = ""
    times: int | None = None
    state: str | None = None
    filled_qty: Decimal = ZERO
    venue_order_id: str | None = None
    orders: tuple[ReportedOrder, ...] = ()
    fills: tuple[ReportedFill, ...] = ()
    positions: tuple[ReportedPosition, ...] = ()
    balances: dict[str, Decimal] | None = None


@frozen(kw_only=True)
class ControlStep:
    """The operator's kill switch."""

    level: Level
    who: str = "scenario"
    why: str = "scenario"


@frozen(kw_only=True)
class SourceStep:
    """degrade, recover."""

    source: str
    condition: str = ""


@frozen(kw_only=True)
class FaultStep:
    """Something goes wrong at one point, from now on, within its bounds."""

    kind: FaultKind
    on: str
    times: int | None = None
    after: int = 0
    by: Us | None = None
    for_: Us | None = None


@frozen
class Expectation:
    """One path and what it must hold."""

    path: str
    segments: tuple[str, ...]
    expected: Any


@frozen
class ExpectStep:
    """What must hold now."""

    expectations: tuple[Expectation, ...]
