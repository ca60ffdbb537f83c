"""`venue` and `answer` steps as what a venue says: facts on the stream, and scripted answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from actors.chaos import scenario as sc
from actors.venues.scripted import Answer
from fsm import facts
from fsm.facts import VenueMessage, VenueOrder
from fsm.instrument import Instrument
from fsm.vocabulary import OrderRole


@frozen
class Speaker:
    """Turns steps into messages; asks the runner which order is meant and what it trades.

    `newest_order(role, position)` is a client_order_id or None; `instrument_of(client_order_id,
    venue_order_id)` the instrument's name or None.
    """

    instruments: dict[str, Instrument]
    newest_order: Callable[[OrderRole, str | None], str | None]
    instrument_of: Callable[[str | None, str | None], str | None]
    now_us: Callable[[], int]

    # ------------------------------------------------------------------------------------ stream

    def message(self, step: Any) -> VenueMessage:
        """The fact or report that a `venue` step stands for. Raises LookupError with one line
        when it names an order that does not exist."""
        if isinstance(step, sc.OrderEvent):
            return self._order(step)
        if isinstance(step, sc.FillEvent):
            return self._fill(step)
        if isinstance(step, sc.TradeEvent):
            return self._trade(step)
        if isinstance(step, sc.BalanceEvent):
            return facts.BalanceReport(
                asset=step.asset, total=step.total, free=step.free, venue_us=self.now_us()
            )
        if isinstance(step, sc.PositionEvent):
            return facts.PositionReport(
                instrument=step.instrument,
                qty=step.side.sign * step.qty,
                avg_price=step.avg_price,
                venue_us=self.now_us(),
            )
        if isinstance(step, sc.FundingEvent):
            return facts.FundingPaid(
                instrument=step.instrument,
                amount=step.amount,
                funding_id=step.funding_id,
                venue_us=self.now_us(),
            )
        if isinstance(step, (sc.ResolvedEvent, sc.ClosedEvent, sc.ExecutionEvent)):
            return self._by_itself(step)
        if step.event == "connected":
            return facts.VenueConnected(venue_us=self.now_us())
        return facts.VenueDisconnected(reason=step.reason)

    def _by_itself(self, step: Any) -> VenueMessage:
        """What the venue does without an order of ours."""
        now_us = self.now_us()
        if isinstance(step, sc.ResolvedEvent):
            return facts.InstrumentResolved(
                instrument=step.instrument,
                payout=step.payout,
                resolution_id=step.resolution_id,
                venue_us=now_us,
            )
        if isinstance(step, sc.ExecutionEvent):
            return facts.UnknownExecution(
                **self._ids(step),
                execution_type=step.type,
                instrument=step.instrument,
                text=step.text,
                venue_us=now_us,
            )
        return facts.PositionClosed(
            position_id=step.position,
            reason=step.reason,
            qty=step.qty,
            price=step.price,
            trade_id=step.trade_id,
            fee=step.fee,
            fee_asset=step.fee_asset,
            venue_us=now_us,
        )

    def _ids(self, step: sc.Named) -> dict[str, Any]:
        order_id = step.client_order_id
        if order_id is None and step.role is not None:
            order_id = self.newest_order(step.role, step.position)
            if order_id is None:
                of = f" of position {step.position}" if step.position else ""
                raise LookupError(f"there is no {step.role} order{of}")
        return {"client_order_id": order_id, "venue_order_id": step.venue_order_id}

    def _order(self, step: sc.OrderEvent) -> VenueMessage:
        ids, now_us = self._ids(step), self.now_us()
        if step.event == "accepted":
            return facts.OrderAccepted(**ids, venue_us=now_us)
        kinds: dict[str, Any] = {
            "rejected": facts.OrderRejected,
            "canceled": facts.OrderCanceled,
            "expired": facts.OrderExpired,
            "cancel_refused": facts.CancelRefused,
        }
        message: VenueMessage = kinds[step.event](**ids, reason=step.reason, venue_us=now_us)
        return message

    def _fill(self, step: sc.FillEvent) -> VenueMessage:
        ids = self._ids(step)
        name = step.instrument or self._name(ids["client_order_id"], ids["venue_order_id"])
        return facts.OrderFill(
            **ids,
            trade_id=step.trade_id,
            qty=step.qty,
            price=step.price,
            instrument=name,
            side=step.side,
            fee=step.fee,
            fee_asset=self._fee_asset(step.fee_asset, name),
            status=step.status,
            order_price=step.order_price,
            realized_pnl=step.realized_pnl,
            venue_us=self.now_us() - (step.age or 0),
        )

    def _trade(self, step: sc.TradeEvent) -> VenueMessage:
        ids, now_us = self._ids(step), self.now_us()
        if step.event == "voided":
            return facts.FillVoided(**ids, trade_id=step.trade_id, venue_us=now_us)
        return facts.FillSettled(
            **ids,
            trade_id=step.trade_id,
            realized_pnl=step.realized_pnl,
            fee=step.fee,
            venue_us=now_us,
        )

    def _name(self, client_order_id: str | None, venue_order_id: str | None) -> str | None:
        """The instrument that is meant: the order's, or the only one there is."""
        name = self.instrument_of(client_order_id, venue_order_id)
        if name is None and len(self.instruments) == 1:
            name = next(iter(self.instruments))
        return name

    def _fee_asset(self, asset: str | None, instrument: str | None) -> str | None:
        """A fee without an asset is paid in the quote asset."""
        spec = self.instruments.get(instrument or "")
        return asset if asset is not None or spec is None else spec.quote

    # ----------------------------------------------------------------------------------- answers

    def answer(self, step: sc.AnswerStep) -> Answer:
        """The answer that an `answer` step stands for."""
        return Answer(
            query=str(step.query),
            result=str(step.result),
            client_order_id=step.client_order_id,
            instrument=step.instrument,
            reason=step.reason,
            state=step.state,
            filled_qty=step.filled_qty,
            venue_order_id=step.venue_order_id,
            orders=tuple(self._reported(order) for order in step.orders),
            fills=tuple(self._reported_fill(fill) for fill in step.fills),
            positions=tuple(
                facts.PositionReport(
                    instrument=p.instrument, qty=p.side.sign * p.qty, avg_price=p.avg_price
                )
                for p in step.positions
            ),
            balances=step.balances,
        )

    def _reported(self, order: sc.ReportedOrder) -> VenueOrder:
        return VenueOrder(
            venue_order_id=order.venue_order_id or f"V-{order.client_order_id}",
            client_order_id=order.client_order_id,
            instrument=order.instrument,
            side=order.side,
            qty=order.qty,
            filled_qty=order.filled_qty,
            state="open",
            price=order.price,
        )

    def _reported_fill(self, fill: sc.ReportedFill) -> facts.OrderFill:
        name = fill.instrument or self._name(fill.client_order_id, fill.venue_order_id)
        return facts.OrderFill(
            trade_id=fill.trade_id,
            qty=fill.qty,
            price=fill.price,
            client_order_id=fill.client_order_id,
            venue_order_id=fill.venue_order_id,
            instrument=name,
            side=fill.side,
            fee=fill.fee,
            fee_asset=self._fee_asset(fill.fee_asset, name),
        )
