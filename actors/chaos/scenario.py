"""What a scenario file says, as frozen values. Reading is `reading.py`, running is `runner.py`.

Times and durations are microseconds of simulated time since the scenario's start; money is
Decimal. The steps themselves are in `steps.py`, the words in `words.py`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import field, frozen

from actors.chaos.steps import (
    VENUE_EVENTS,
    AnswerStep,
    BalanceEvent,
    CancelStep,
    CapitalStep,
    ClosedEvent,
    ControlStep,
    ExecutionEvent,
    ExitStep,
    Expectation,
    ExpectStep,
    FaultStep,
    FillEvent,
    FundingEvent,
    Named,
    NamedTrade,
    OrderEvent,
    PositionEvent,
    ReportedFill,
    ReportedOrder,
    ReportedPosition,
    ResetStep,
    ResolvedEvent,
    ResolveStep,
    SessionEvent,
    SignalStep,
    SourceStep,
    SubmitStep,
    TickStep,
    TradeEvent,
)
from actors.chaos.words import (
    FaultKind,
    Level,
    QueryKind,
    Restart,
    Result,
    ScenarioError,
    Us,
    VenueMode,
)
from fsm.instrument import Instrument
from fsm.money import ONE, ZERO
from fsm.vocabulary import InstrumentKind

__all__ = [
    "AnswerStep",
    "BalanceEvent",
    "CancelStep",
    "CapitalStep",
    "ClosedEvent",
    "ControlStep",
    "ExecutionEvent",
    "ExitStep",
    "ExpectStep",
    "Expectation",
    "FaultKind",
    "FaultStep",
    "FillEvent",
    "FundingEvent",
    "InstrumentSection",
    "Level",
    "Named",
    "NamedTrade",
    "OrderEvent",
    "PositionEvent",
    "QueryKind",
    "ReportedFill",
    "ReportedOrder",
    "ReportedPosition",
    "ResetStep",
    "ResolveStep",
    "ResolvedEvent",
    "Restart",
    "Result",
    "Scenario",
    "ScenarioError",
    "SessionEvent",
    "SignalStep",
    "SourceStep",
    "Step",
    "SubmitStep",
    "TickStep",
    "TradeEvent",
    "Us",
    "VENUE_EVENTS",
    "VenueMode",
    "VenueSection",
]

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
    guards: tuple[str, ...] = ()
    """The guards that are on; every other one is off."""
    steps: tuple[Step, ...] = ()
