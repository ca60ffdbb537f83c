"""Requests of the operator, as they come over the control socket: plain JSON into commands.

Everything is checked here, so that what reaches an actor is a whole command. Raises BadRequest with
what is missing or wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors import messages as msg
from fsm.facts import OrderFill
from fsm.mode import ControlLevel
from fsm.money import ZERO, decimal_from
from fsm.vocabulary import ExitReason, HeldOutcome

COMMANDS = ("control", "resume", "exit", "cancel", "resolve", "attribute", "recover", "reset")


class BadRequest(ValueError):
    """The request cannot be understood; the message says what is missing."""


def command_of(request: Mapping[str, Any]) -> object:
    """The command that a request asks for. Raises BadRequest, ValueError."""
    name, who, why = request.get("command"), request.get("who", "operator"), request.get("why", "")
    if name == "control":
        return msg.SetControl(ControlLevel(request.get("level", "")), who, why)
    if name == "resume":
        return msg.Resume(who, why)
    if name == "exit":
        return msg.RequestExit(_text(request, "position"), ExitReason.OPERATOR, f"{who}: {why}")
    if name == "cancel":
        return msg.CancelOrder(_text(request, "order"), f"{who}: {why}")
    if name == "resolve":
        return _resolve(request)
    if name == "attribute":
        return _attribute(request)
    if name == "recover":
        return msg.Recover(_text(request, "source"), _text(request, "who"), _text(request, "why"))
    if name == "reset":
        return msg.ResetGuard(_text(request, "guard"), _text(request, "who"), _text(request, "why"))
    raise BadRequest(f"no command {name!r}: live, stop, {', '.join(COMMANDS)}")


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"the request needs {key!r}")
    return value


def _resolve(request: Mapping[str, Any]) -> msg.ResolveHeld:
    given = _text(request, "as")
    if given not in list(HeldOutcome):
        raise BadRequest(f"'as' must be one of {', '.join(HeldOutcome)}, not {given!r}")
    outcome = HeldOutcome(given)
    trades = tuple(_trade(row) for row in request.get("trades") or ())
    if len({trade.trade_id for trade in trades}) != len(trades):
        raise BadRequest("a trade is named twice")
    if outcome is HeldOutcome.FILLED and not trades:
        raise BadRequest("filled needs the venue's own trades: give them with --trades")
    return msg.ResolveHeld(
        client_order_id=_text(request, "order"),
        outcome=outcome,
        evidence=_text(request, "why"),
        who=_text(request, "who"),
        trades=trades,
    )


def _attribute(request: Mapping[str, Any]) -> msg.AttributeFact:
    seq, order, dismiss = request.get("seq"), request.get("order"), request.get("dismiss", False)
    if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1:
        raise BadRequest("the request needs 'seq', the number of an unresolved fact")
    if (order is not None) is bool(dismiss):
        raise BadRequest("name the order that the fact is of, or dismiss it")
    return msg.AttributeFact(
        seq=seq,
        client_order_id=None if dismiss else _text(request, "order"),
        who=_text(request, "who"),
        why=_text(request, "why"),
    )


def _trade(row: Any) -> OrderFill:
    if not isinstance(row, Mapping):
        raise BadRequest("a trade must be an object")
    trade_id, qty = _text(row, "trade_id"), decimal_from(row.get("qty"))
    price = row.get("price")
    if qty <= 0 or (price is not None and decimal_from(price) <= 0):
        raise BadRequest(f"trade {trade_id}: quantity and price must be above zero")
    return OrderFill(
        trade_id=trade_id,
        qty=qty,
        price=None if price is None else decimal_from(price),
        fee=decimal_from(row["fee"]) if row.get("fee") is not None else ZERO,
        fee_asset=row.get("fee_asset"),
        venue_us=int(row.get("venue_us") or 0),
    )
