"""What strategies wished and what the risk door answered."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from fsm.vocabulary import (
    Side,
)


@frozen(slots=True, kw_only=True)
class SignalRaised:
    """A strategy's wish, with the tick and the inputs that it saw."""

    signal_id: str
    strategy: str
    instrument: str
    side: Side
    qty: Decimal | None
    notional: Decimal | None
    stop: Decimal | None
    take_profit: Decimal | None
    trailing: Decimal | None
    expires_in_us: int | None
    bid: Decimal | None
    ask: Decimal | None
    event_us: int
    inputs: dict[str, str]

    @property
    def stream(self) -> str:
        return f"signal/{self.signal_id}"


@frozen(slots=True, kw_only=True)
class RuleCheck:
    """One rule of the risk door: what it allows, what it saw, and whether that passed."""

    rule: str
    limit: str
    value: str
    passed: bool


@frozen(slots=True, kw_only=True)
class SignalDecided:
    """The door's answer: exactly one order, or one recorded refusal (assertion 1)."""

    signal_id: str
    strategy: str
    instrument: str
    approved: bool
    rule: str
    checks: tuple[RuleCheck, ...]
    position_id: str | None = None
    client_order_id: str | None = None

    @property
    def stream(self) -> str:
        return f"signal/{self.signal_id}"
