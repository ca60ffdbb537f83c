"""What a scenario file says, as frozen values. Reading is `reading.py`, running is `runner.py`.

Times and durations are microseconds of simulated time since the scenario's start; money is
Decimal.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any, NewType

from attrs import field, frozen

from fsm.instrument import Instrument
from fsm.mode import ControlLevel
from fsm.money import ONE, ZERO
from fsm.vocabulary import (
    ExitReason,
    FillStatus,
    InstrumentKind,
    OrderRole,
    OrderType,
    Side,
    TimeInForce,
)

Us = NewType("Us", int)
"""A duration in microseconds; files write `"1.5s"`, `"500ms"`, `"2m"`."""


class ScenarioError(Exception):
    """The file cannot be run: one line with file, line, key and remedy. Exit code 2."""

    exit_code = 2


class VenueMode(StrEnum):
    """Who answers: the steps alone, or a matching engine with its own truth."""

    SCRIPTED = "scripted"
    SIMULATED = "simulated"


class QueryKind(StrEnum):
    """What an answer is for."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    ORDER = "order"
    OPEN_ORDERS = "open_orders"
    FILLS = "fills"
    POSITIONS = "positions"
    BALANCES = "balances"


class Result(StrEnum):
    """How a request is answered. `timeout` is no answer at all."""

    FOUND = "found"
    ABSENT = "absent"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    REJECTED = "rejected"


class Restart(StrEnum):
    """`kill` ends the engine where it stands, `clean` ends its session first."""

    KILL = "kill"
    CLEAN = "clean"


class FaultKind(StrEnum):
    """What goes wrong."""

    DROP = "drop"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    CORRUPT = "corrupt"
    SLOW_DISK = "slow_disk"
    DISK_FULL = "disk_full"
    DISK_ERROR = "disk_error"
    ACTOR_CRASH = "actor_crash"
    CLOCK_JUMP = "clock_jump"


class Level(StrEnum):
    """The kill switch's levels, and `resume`, which lifts it and HALTED."""

    OFF = "off"
    PAUSE = "pause"
    FLATTEN = "flatten"
    EMERGENCY = "emergency"
    RESUME = "resume"

    @property
    def control(self) -> ControlLevel:
        """The level as the engine knows it; not for `resume`."""
        return ControlLevel(self.value)


# ------------------------------------------------------------------------------------- the header


@frozen(kw_only=True)
class VenueSection:
    """`[venue]`. Everything but `mode` and `kind` is for the simulated one."""

    mode: VenueMode = VenueMode.SCRIPTED
    kind: InstrumentKind = InstrumentKind.SPOT
    latency_ms: int = 0
    latency_jitter_ms: int = 0
    maker_fee_bps: Decimal = ZERO
    taker_fee_bps: Decimal = ZERO
    partial_fill: bool = True
    fills_lateness_ms: int = 0


@frozen(kw_only=True)
class InstrumentSection:
    """One `[[instrument]]`."""

    name: str
    base: str
    quote: str
    price_tick: Decimal = Decimal("0.0001")
    qty_step: Decimal = Decimal("0.0001")
    min_qty: Decimal = ZERO
    min_notional: Decimal = ZERO
    max_leverage: Decimal = ONE

    def to_instrument(self, kind: InstrumentKind) -> Instrument:
        """The value that the engine works with."""
        return Instrument(
            name=self.name,
            base=self.base,
            quote=self.quote,
            kind=kind,
            price_tick=self.price_tick,
            qty_step=self.qty_step,
            min_qty=self.min_qty,
            min_notional=self.min_notional,
            max_leverage=self.max_leverage,
        )


# -------------------------------------------------------------------------------------- the steps


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


@frozen(kw_only=True)
class Step:
    """One step with its place in the file. `number` counts from 1."""

    number: int
    line: int
    kind: str
    action: Any
    at_us: int | None = None
    together: bool = False


@frozen(kw_only=True)
class Scenario:
    """A whole file."""

    name: str
    file: str
    incident: str | None = None
    naive: str | None = None
    seed: int = 1
    venue: VenueSection = field(factory=VenueSection)
    instruments: tuple[InstrumentSection, ...] = ()
    balances: dict[str, Decimal] = field(factory=dict)
    config: dict[str, Any] = field(factory=dict)
    steps: tuple[Step, ...] = ()
