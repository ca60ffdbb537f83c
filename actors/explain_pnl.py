"""The arithmetic of one position's PnL, redone from its fills and compared with what was booked.

It reads only executions (never the position's own sums), so that it would show a wrong sum. Exact
decimals; realized is gross and leverage-free, fees are costs in quote units (DESIGN of the ledger).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from attrs import define, field, frozen

from fsm import events as ev
from fsm.events import Recorded
from fsm.money import ZERO, plain, shown
from fsm.pnl import Holding, apply_fill


@frozen(slots=True, kw_only=True)
class Line:
    """One execution: what it did to quantity and basis, and what it realized, written out."""

    seq: int
    client_order_id: str
    trade_id: str
    does: str
    qty_delta: Decimal
    price: Decimal | None
    qty_after: Decimal
    basis_after: Decimal | None
    realized: Decimal
    fee_quote: Decimal
    formula: str

    def document(self) -> dict[str, Any]:
        """As plain data; decimals are strings."""
        return {
            "seq": self.seq,
            "client_order_id": self.client_order_id,
            "trade_id": self.trade_id,
            "does": self.does,
            "qty_delta": plain(self.qty_delta),
            "price": None if self.price is None else plain(self.price),
            "qty_after": plain(self.qty_after),
            "basis_after": None if self.basis_after is None else plain(self.basis_after),
            "realized": plain(self.realized),
            "fee_quote": plain(self.fee_quote),
            "formula": self.formula,
        }


@define(slots=True)
class Arithmetic:
    """The lines and their sums beside the booked figures (None: nothing was booked)."""

    lines: list[Line] = field(factory=list)
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    booked_realized: Decimal | None = None
    booked_fees: Decimal | None = None
    remarks: list[str] = field(factory=list)

    @property
    def equal(self) -> bool:
        """Whether the books say what the executions add up to."""
        return self.booked_realized == self.realized and self.booked_fees == self.fees

    def document(self) -> dict[str, Any]:
        """As plain data; decimals are strings."""
        return {
            "lines": [line.document() for line in self.lines],
            "recomputed": _figures(self.realized, self.fees),
            "booked": None
            if self.booked_realized is None
            else _figures(self.booked_realized, self.booked_fees or ZERO),
            "equal": self.equal,
            "remarks": self.remarks,
        }


def _figures(realized: Decimal, fees: Decimal) -> dict[str, str]:
    return {"realized_pnl": plain(realized), "fees": plain(fees), "net": plain(realized - fees)}


def recompute(
    events: Iterable[Recorded], position_id: str, session: ev.SessionStarted | None
) -> Arithmetic | None:
    """Redo the arithmetic of a position from its executions; None when nothing was executed."""
    events = [r for r in events if getattr(r.event, "position_id", None) == position_id]
    fills = [r for r in events if isinstance(r.event, ev.OrderFilled)]
    if not fills:
        return None
    result = Arithmetic()
    voided = {
        (r.event.client_order_id, r.event.trade_id)
        for r in events
        if isinstance(r.event, ev.OrderFillVoided)
    }
    settled = {
        (r.event.client_order_id, r.event.trade_id): r.event.realized_pnl
        for r in events
        if isinstance(r.event, ev.OrderFillSettled)
    }
    holding = Holding()
    for recorded in fills:
        fill = recorded.event
        assert isinstance(fill, ev.OrderFilled)
        key = (fill.client_order_id, fill.trade_id)
        if key in voided:
            result.remarks.append(
                f"the execution {fill.trade_id} was taken back: it counts nothing"
            )
            continue
        line, holding = _line(recorded.seq, fill, holding, settled.get(key), session)
        result.lines.append(line)
        result.realized += line.realized
        result.fees += line.fee_quote
    _booked(result, events)
    return result


def _booked(result: Arithmetic, events: list[Recorded]) -> None:
    changes = [r.event for r in events if isinstance(r.event, ev.PositionChanged)]
    if changes:
        last = changes[-1]
        result.booked_realized, result.booked_fees = last.realized_pnl, last.fees
        if not result.equal:
            result.remarks.append("the booked figures differ: run `holdfast verify`")


def _line(
    seq: int,
    fill: ev.OrderFilled,
    before: Holding,
    venue_realized: Decimal | None,
    session: ev.SessionStarted | None,
) -> tuple[Line, Holding]:
    delta = fill.side.sign * fill.qty
    step = apply_fill(before, delta, fill.price)
    after, realized = step.holding, step.realized
    grows = before.qty == 0 or (before.qty > 0) == (delta > 0)
    does = ("opens" if before.qty == 0 else "adds") if grows else "reduces"
    formula = f"basis {_text(after.basis)}"
    if not grows:
        closed = min(abs(delta), abs(before.qty))
        signed = closed if before.qty > 0 else -closed
        does = (
            "closes" if after.qty == 0 else "turns" if (after.qty > 0) != (before.qty > 0) else does
        )
        if step.price_missing:
            realized = venue_realized or ZERO
            formula = f"no price; the venue's settlement says {_text(venue_realized)}"
        else:
            formula = (
                f"{shown(signed)} x ({_text(fill.price)} - {_text(before.basis)})"
                f" = {shown(realized)}"
            )
    return Line(
        seq=seq,
        client_order_id=fill.client_order_id,
        trade_id=fill.trade_id,
        does=does,
        qty_delta=delta,
        price=fill.price,
        qty_after=after.qty,
        basis_after=after.basis,
        realized=realized,
        fee_quote=_fee_quote(fill, session),
        formula=formula,
    ), after


def _fee_quote(fill: ev.OrderFilled, session: ev.SessionStarted | None) -> Decimal:
    """A fee in the base asset counts at the fill's own price."""
    specs = {spec.name: spec for spec in session.instruments} if session else {}
    spec = specs.get(fill.instrument)
    if spec is not None and fill.fee_asset == spec.base != spec.quote and fill.price is not None:
        return fill.fee * fill.price
    return fill.fee


def _text(value: Decimal | None) -> str:
    return "unknown" if value is None else shown(value)
