"""Capital commands: from a request to a command, and what has to happen at the venue with it.

A transfer happens at the venue first and is booked then, under one reference, so that a command
that was cut in between can simply be given again. Where the venue is a simulated one of ours,
moving the funds there is ours to do; at any other venue it has happened already.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

from attrs import evolve

from actors import messages as msg
from actors.capital_plan import CapitalPlan
from fsm import events as ev
from fsm.money import ZERO, decimal_from
from fsm.vocabulary import CapitalKind

Wish = msg.BookCapital | msg.BookConversion
CONVERSION = "conversion"
ACTIONS = {
    "deposit": CapitalKind.DEPOSIT,
    "withdraw": CapitalKind.WITHDRAWAL,
    "realign": CapitalKind.REALIGNMENT,
    "commit-basis": CapitalKind.BASIS_COMMIT,
    "init-basis": CapitalKind.INIT_BASIS,
}


class Transfers(Protocol):
    """A venue whose funds we move ourselves."""

    def transfer(self, ref: str, amounts: Mapping[str, Decimal]) -> bool:
        """Move them, once for each `ref`. Raises ValueError when there is not enough."""

    def take_back(self, ref: str, amounts: Mapping[str, Decimal]) -> bool:
        """The transfer whose booking was refused never was: its `ref` may come again."""


def wish_of(request: Mapping[str, Any]) -> Wish:
    """The command that a request asks for. Raises ValueError with what is missing or wrong."""
    action = request.get("action")
    said = {name: str(request.get(name) or "") for name in ("ref", "who", "why")}
    accepts = bool(request.get("accept_breaches"))
    if action == "convert":
        return msg.BookConversion(
            from_asset=str(request.get("asset") or ""),
            from_amount=decimal_from(request.get("amount")),
            to_asset=str(request.get("to_asset") or ""),
            to_amount=decimal_from(request.get("to_amount")),
            accept_breaches=accepts,
            **said,
        )
    if action not in ACTIONS:
        raise ValueError(f"no capital command {action!r}: {', '.join((*ACTIONS, 'convert'))}")
    amount, price = request.get("amount"), request.get("price")
    prices = request.get("prices") or {}
    return msg.BookCapital(
        kind=ACTIONS[action],
        asset=str(request.get("asset") or ""),
        amount=ZERO if amount is None else decimal_from(amount),
        price=None if price is None else decimal_from(price),
        prices={str(asset): decimal_from(given) for asset, given in prices.items()},
        accept_breaches=accepts,
        **said,
    )


def named(wish: Wish, plan: CapitalPlan) -> Wish:
    """The same command under the reference that the plan gave it."""
    is_initial = isinstance(wish, msg.BookCapital) and wish.kind is CapitalKind.INIT_BASIS
    return wish if is_initial else evolve(wish, ref=plan.event.ref)


def moved_at_venue(plan: CapitalPlan) -> dict[str, Decimal]:
    """What moves at the venue: a realignment follows what is there, and moves nothing."""
    event = plan.event
    if isinstance(event, ev.CapitalRecorded):
        moves = event.kind in (CapitalKind.DEPOSIT, CapitalKind.WITHDRAWAL)
        return {event.asset: event.amount} if moves else {}
    return {event.from_asset: -event.from_amount, event.to_asset: event.to_amount}
