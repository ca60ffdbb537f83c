"""Which rows sessions, orders and positions write. Pure copying: every figure is the event's own.

Account, system and market data are in `storage.projection_rows_account`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from fsm import events as ev
from fsm.events import Recorded
from fsm.order import OrderState, OrderTrigger
from fsm.position import PositionState
from fsm.timestamps import iso_utc
from fsm.vocabulary import FillStatus

if TYPE_CHECKING:
    from storage.projections import Batch

E = TypeVar("E")
Handler = Callable[["Batch", Recorded, Any], None]
HANDLERS: dict[str, Handler] = {}

_CANCEL_TRIGGERS = (OrderTrigger.CANCEL_REQUESTED, OrderTrigger.ENGINE_CANCEL)


def on(kind: type[E]) -> Callable[[Callable[[Batch, Recorded, E], None]], None]:
    """Register a row function of one event type; of several each writes its own tables."""

    def register(function: Callable[[Batch, Recorded, E], None]) -> None:
        first = HANDLERS.get(kind.__name__)

        def both(batch: Batch, at: Recorded, event: E) -> None:
            assert first is not None
            first(batch, at, event)
            function(batch, at, event)

        HANDLERS[kind.__name__] = function if first is None else both

    return register


def compact_json(value: Any) -> str:
    """Compact JSON text of a plain value."""
    return msgspec.json.encode(value).decode()


@lru_cache(maxsize=4096)
def when(us: int) -> str:
    """ISO time; the events of a turn share theirs."""
    return iso_utc(us)


@on(ev.SessionStarted)
def _session_started(batch: Batch, at: Recorded, e: ev.SessionStarted) -> None:
    if e.previous is not None:
        batch.update("sessions", e.previous.session_id, e.previous.columns())
    batch.session_id = e.session_id
    batch.insert(
        "sessions",
        e.session_id,
        {
            "session_id": e.session_id,
            "mode": e.mode,
            "venue": e.venue,
            "holder": e.holder,
            "recovery": int(e.recovery),
            "started_at": iso_utc(e.started_at_us),
            "version": e.version,
            "seed": e.seed,
            "orders": 0,
            "fills": 0,
            "positions_closed": 0,
            "ticks": 0,
        },
    )


@on(ev.SessionEnded)
def _session_ended(batch: Batch, at: Recorded, e: ev.SessionEnded) -> None:
    batch.update(
        "sessions",
        e.session_id,
        {
            "ended_at": iso_utc(e.ended_at_us),
            "halt_reason": e.halt_reason,
            "clean": int(e.clean),
            "truth": e.truth,
            "ticks": e.ticks,
        }
        | ({} if e.figures is None else e.figures.columns()),
    )


@on(ev.SignalRaised)
def _signal_raised(batch: Batch, at: Recorded, e: ev.SignalRaised) -> None:
    batch.insert(
        "decisions",
        e.signal_id,
        {
            "signal_id": e.signal_id,
            "seq": at.seq,
            "strategy": e.strategy,
            "instrument": e.instrument,
            "side": e.side,
            "inputs": compact_json(e.inputs),
            "at": when(at.at_us),
        },
    )


@on(ev.SignalDecided)
def _signal_decided(batch: Batch, at: Recorded, e: ev.SignalDecided) -> None:
    batch.update(
        "decisions",
        e.signal_id,
        {
            "approved": int(e.approved),
            "rule": e.rule,
            "checks": compact_json(e.checks),
            "position_id": e.position_id,
            "client_order_id": e.client_order_id,
        },
    )


@on(ev.OrderIntended)
def _order_intended(batch: Batch, at: Recorded, e: ev.OrderIntended) -> None:
    now = when(at.at_us)
    batch.insert(
        "orders",
        e.client_order_id,
        {
            "client_order_id": e.client_order_id,
            "state": OrderState.INTENDED,
            "role": e.role,
            "mode": e.mode,
            "session_id": e.session_id,
            "strategy": e.strategy,
            "position_id": e.position_id,
            "signal_id": e.signal_id,
            "instrument": e.instrument,
            "side": e.side,
            "type": e.type,
            "qty": e.qty,
            "limit_price": e.limit_price,
            "reduce_only": int(e.reduce_only),
            "filled_qty": "0",
            "provisional_qty": "0",
            "fees": "0",
            "reason": e.exit_reason or "",
            "flags": "[]",
            "created_at": now,
            "updated_at": now,
            "last_seq": at.seq,
        },
    )
    batch.count("orders")


def _touch(at: Recorded, state: OrderState) -> dict[str, Any]:
    return {"state": state, "updated_at": when(at.at_us), "last_seq": at.seq}


@on(ev.OrderSent)
def _order_sent(batch: Batch, at: Recorded, e: ev.OrderSent) -> None:
    batch.update("orders", e.client_order_id, _touch(at, e.state))


@on(ev.OrderAcknowledged)
def _order_acknowledged(batch: Batch, at: Recorded, e: ev.OrderAcknowledged) -> None:
    row = _touch(at, e.state)
    if e.venue_order_id is not None:
        row["venue_order_id"] = e.venue_order_id
    batch.update("orders", e.client_order_id, row)


@on(ev.OrderFilled)
def _order_filled(batch: Batch, at: Recorded, e: ev.OrderFilled) -> None:
    fill_id = f"{e.client_order_id}/{e.trade_id}"
    batch.insert(
        "fills",
        fill_id,
        {
            "fill_id": fill_id,
            "seq": at.seq,
            "trade_id": e.trade_id,
            "client_order_id": e.client_order_id,
            "position_id": e.position_id,
            "session_id": e.session_id,
            "instrument": e.instrument,
            "side": e.side,
            "role": e.role,
            "qty": e.qty,
            "price": e.price,
            "fee": e.fee,
            "fee_asset": e.fee_asset,
            "status": e.status,
            "liquidity": e.liquidity,
            "provenance": e.provenance,
            "realized_pnl": e.realized_pnl,
            "slippage_quote": e.slippage_quote,
            "late": int(e.late),
            "venue_time": iso_utc(e.venue_us),
            "at": when(at.at_us),
        },
    )
    row = _touch(at, e.state)
    row |= {"filled_qty": e.filled_qty, "avg_price": e.avg_price, "fees": e.fees}
    batch.update("orders", e.client_order_id, row)
    if e.slippage_quote is not None:
        batch.add_decimal("orders", e.client_order_id, "slippage_quote", e.slippage_quote)
    if e.status is FillStatus.PROVISIONAL:
        batch.add_decimal("orders", e.client_order_id, "provisional_qty", e.qty)
    flags = [name for name, held in (("late_fill", e.late), ("overfill", e.overfill)) if held]
    if flags:
        batch.add_flag("orders", e.client_order_id, *flags)
    batch.count("fills")


@on(ev.OrderFillSettled)
def _fill_settled(batch: Batch, at: Recorded, e: ev.OrderFillSettled) -> None:
    fill_id = f"{e.client_order_id}/{e.trade_id}"
    if batch.current("fills", fill_id, "status") == FillStatus.PROVISIONAL:
        qty = Decimal(batch.current("fills", fill_id, "qty"))
        batch.add_decimal("orders", e.client_order_id, "provisional_qty", -qty)
    row: dict[str, Any] = {"status": FillStatus.SETTLED}
    if e.realized_pnl is not None:
        row["realized_pnl"] = e.realized_pnl
    batch.update("fills", fill_id, row)
    if e.fee_delta:
        batch.add_decimal("fills", fill_id, "fee", e.fee_delta)
        batch.add_decimal("orders", e.client_order_id, "fees", e.fee_delta)


@on(ev.OrderFillVoided)
def _fill_voided(batch: Batch, at: Recorded, e: ev.OrderFillVoided) -> None:
    fill_id = f"{e.client_order_id}/{e.trade_id}"
    if batch.current("fills", fill_id, "status") == FillStatus.PROVISIONAL:
        batch.add_decimal("orders", e.client_order_id, "provisional_qty", -e.qty)
    batch.update("fills", fill_id, {"status": FillStatus.VOIDED})
    if e.slippage_quote is not None:
        batch.add_decimal("orders", e.client_order_id, "slippage_quote", -e.slippage_quote)
    row = _touch(at, e.state)
    row |= {"filled_qty": e.filled_qty, "avg_price": e.avg_price, "fees": e.fees}
    batch.update("orders", e.client_order_id, row)
    batch.add_flag("orders", e.client_order_id, "voided_fill")


@on(ev.OrderMoved)
def _order_moved(batch: Batch, at: Recorded, e: ev.OrderMoved) -> None:
    row = _touch(at, e.state)
    row["reason"] = e.reason
    if e.trigger in _CANCEL_TRIGGERS:
        row |= {"cancelled_at": when(at.at_us), "cancel_reason": e.reason}
    batch.update("orders", e.client_order_id, row)
    if e.trigger == OrderTrigger.HELD:
        batch.add_flag("orders", e.client_order_id, "held")
    if e.trigger == OrderTrigger.ENGINE_CANCEL:
        batch.add_flag("orders", e.client_order_id, "engine_cancel")


@on(ev.PositionOpened)
def _position_opened(batch: Batch, at: Recorded, e: ev.PositionOpened) -> None:
    batch.insert(
        "positions",
        e.position_id,
        {
            "position_id": e.position_id,
            "state": PositionState.ENTRY,
            "mode": e.mode,
            "session_id": e.session_id,
            "instrument": e.instrument,
            "side": e.side,
            "strategy": e.strategy,
            "signal_id": e.signal_id,
            "qty": "0",
            "entry_qty": "0",
            "exit_qty": "0",
            "stop": e.stop,
            "take_profit": e.take_profit,
            "trailing": e.trailing,
            "expires_at": iso_utc(e.expires_at_us) if e.expires_at_us is not None else None,
            "realized_pnl": "0",
            "fees": "0",
            "pnl_source": "",
            "flags": "[]",
            "opened_at": when(at.at_us),
            "last_seq": at.seq,
        },
    )


def _position_ended(batch: Batch, at: Recorded, position_id: str, state: PositionState) -> None:
    was = batch.current("positions", position_id, "state")
    ended = state in (PositionState.CLOSED, PositionState.CANCELLED_BY_ENGINE)
    batch.update(
        "positions",
        position_id,
        {
            "state": state,
            "last_seq": at.seq,
            "closed_at": when(at.at_us) if ended else None,
        },
    )
    if state is PositionState.CLOSED and was != PositionState.CLOSED:
        batch.count("positions_closed")


@on(ev.PositionChanged)
def _position_changed(batch: Batch, at: Recorded, e: ev.PositionChanged) -> None:
    _position_ended(batch, at, e.position_id, e.state)
    batch.update(
        "positions",
        e.position_id,
        {
            "qty": e.qty,
            "entry_qty": e.entry_qty,
            "exit_qty": e.exit_qty,
            "basis_price": e.basis_price,
            "realized_pnl": e.realized_pnl,
            "fees": e.fees,
            "pnl_source": e.pnl_source,
            "stop": e.stop,
        },
    )
    if e.flags:
        batch.add_flag("positions", e.position_id, *e.flags)


@on(ev.PnlCompared)
def _pnl_compared(batch: Batch, at: Recorded, e: ev.PnlCompared) -> None:
    row = {"pnl_source": e.pnl_source, "last_seq": at.seq}
    batch.update("positions", e.position_id, row)
    batch.update("fills", f"{e.client_order_id}/{e.trade_id}", {"realized_pnl": e.exchange})
    if not e.agrees:
        batch.add_flag("positions", e.position_id, "pnl_mismatch")


@on(ev.PositionMoved)
def _position_moved(batch: Batch, at: Recorded, e: ev.PositionMoved) -> None:
    _position_ended(batch, at, e.position_id, e.state)
    if e.flags:
        batch.add_flag("positions", e.position_id, *e.flags)


@on(ev.ExitDecided)
def _exit_decided(batch: Batch, at: Recorded, e: ev.ExitDecided) -> None:
    batch.update(
        "positions",
        e.position_id,
        {
            "state": e.state,
            "exit_reason": e.reason,
            "last_seq": at.seq,
        },
    )


@on(ev.ProtectionMoved)
def _protection_moved(batch: Batch, at: Recorded, e: ev.ProtectionMoved) -> None:
    batch.update("positions", e.position_id, {"stop": e.stop, "last_seq": at.seq})
