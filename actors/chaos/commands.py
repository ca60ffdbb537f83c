"""Steps that tell the engine something: orders, wishes, the operator's levers, quotes.

Every command is asked, so that a refusal is an answer and not an error; it is counted in
`counters.refused_commands`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

from attrs import define

from actors import messages as msg
from actors.capital_requests import moved_at_venue
from actors.chaos import scenario as sc
from actors.chaos.scenario import Step
from actors.engine import Engine
from actors.messages import RaiseSignal
from actors.runtime.actor import Refused
from actors.strategies.base import Signal
from actors.venues.port import SimulatedGateway
from actors.venues.sim import SimVenue
from fsm.facts import OrderFill
from fsm.market import MarketTrade, Tick
from fsm.vocabulary import OrderRole


@define
class Commands:
    """Puts commands and quotes into one engine's inbox. `newest_position()` is an id, or ""."""

    engine: Engine
    venue: SimulatedGateway
    newest_position: Callable[[], str]
    transfers: SimVenue | None = None
    """The matching engine, where there is one: capital comes to and leaves its account too."""

    def take(self, step: Step) -> None:
        """Carry a step of a kind in `KINDS` out."""
        _COMMANDS[step.kind](self, step)

    def _ask(self, step: Step, command: object) -> None:
        self.engine.inbox.command(msg.Ask(command, step.number))

    def _submit(self, step: Step) -> None:
        wish: sc.SubmitStep = step.action
        if wish.role is OrderRole.EXIT:
            self._submit_exit(step, wish)
            return
        self._ask(
            step,
            msg.PlaceOrder(
                client_order_id=wish.client_order_id,
                role=wish.role,
                instrument=wish.instrument,
                side=wish.side,
                qty=wish.qty,
                type=wish.type,
                limit_price=wish.limit_price,
                position_id=wish.position,
                leverage=wish.leverage,
                reduce_only=wish.reduce_only,
                time_in_force=wish.time_in_force,
                post_only=wish.post_only,
                strategy=wish.strategy,
                stop=wish.stop,
                take_profit=wish.take_profit,
                trailing=wish.trailing,
                expires_in_us=wish.expires_in,
            ),
        )

    def _submit_exit(self, step: Step, wish: sc.SubmitStep) -> None:
        self._ask(
            step,
            msg.PlaceExit(
                position_id=self._position(wish.position or self._open_on(wish.instrument)),
                client_order_id=wish.client_order_id,
                type=wish.type,
                qty=wish.qty,
                limit_price=wish.limit_price,
            ),
        )

    def _open_on(self, instrument: str) -> str:
        """The newest open position of an instrument, for an exit that names none."""
        found = [p.position_id for p in self.engine.world.open_positions(instrument) if p.is_open]
        return found[-1] if found else ""

    def _position(self, name: str) -> str:
        return self.newest_position() if name == "@newest" else name

    def _signal(self, step: Step) -> None:
        wish: sc.SignalStep = step.action
        signal = Signal(
            side=wish.side,
            qty=wish.qty,
            notional=wish.notional,
            stop=wish.stop,
            take_profit=wish.take_profit,
            trailing=wish.trailing,
            expires_in_us=wish.expires_in,
        )
        self.engine.inbox.command(RaiseSignal(signal, wish.strategy, wish.instrument))

    def _exit(self, step: Step) -> None:
        wish: sc.ExitStep = step.action
        self._ask(step, msg.RequestExit(self._position(wish.position), wish.reason, "scenario"))

    def _cancel(self, step: Step) -> None:
        self._ask(step, msg.CancelOrder(step.action.client_order_id, step.action.reason))

    def _control(self, step: Step) -> None:
        wish: sc.ControlStep = step.action
        if wish.level is sc.Level.RESUME:
            self._ask(step, msg.Resume(wish.who, wish.why))
        else:
            self._ask(step, msg.SetControl(wish.level.control, wish.who, wish.why))

    def _degrade(self, step: Step) -> None:
        self._ask(step, msg.Degrade(step.action.source, step.action.condition))

    def _recover(self, step: Step) -> None:
        self._ask(step, msg.Recover(step.action.source))

    def _resolve(self, step: Step) -> None:
        wish: sc.ResolveStep = step.action
        trades = tuple(
            OrderFill(
                trade_id=trade.trade_id,
                qty=trade.qty,
                price=trade.price,
                fee=trade.fee,
                fee_asset=trade.fee_asset,
            )
            for trade in wish.trades
        )
        command = msg.ResolveHeld(
            client_order_id=wish.client_order_id,
            outcome=wish.as_,
            evidence=wish.evidence,
            who=wish.who,
            trades=trades,
        )
        self._ask(step, command)

    def _reset(self, step: Step) -> None:
        wish: sc.ResetStep = step.action
        self._ask(step, msg.ResetGuard(wish.guard, wish.who, wish.why))

    def _capital(self, step: Step) -> None:
        wish: sc.CapitalStep = step.action
        command = msg.BookCapital(
            kind=wish.event,
            asset=wish.asset,
            amount=wish.amount,
            price=wish.price,
            prices=dict(wish.prices),
            ref=wish.ref,
            who=wish.who,
            why=wish.why,
            accept_breaches=wish.accept_breaches,
        )
        if self.transfers is not None:
            with suppress(Refused):  # the engine will say it
                plan = self.engine.books.account.plan(command, self.engine.world)
                if plan is not None and (wish.accept_breaches or not plan.breaches):
                    self.transfers.transfer(plan.event.ref, moved_at_venue(plan))
        self._ask(step, command)

    def _tick(self, step: Step) -> None:
        tick: sc.TickStep = step.action
        now_us = self.engine.clock.now_us()
        names = ("bid", "ask", "bid_size", "ask_size")
        row = Tick(
            instrument=tick.instrument,
            **{name: getattr(tick, name) for name in names},
            event_us=now_us,
            recv_us=now_us,
        )
        self.venue.market(row, now_us)
        self.engine.inbox.market_data(row)
        if tick.last is not None:
            trade = MarketTrade(
                instrument=tick.instrument,
                price=tick.last,
                qty=Decimal(0),
                side=None,
                event_us=now_us,
                recv_us=now_us,
            )
            self.engine.inbox.market_data(trade)


_COMMANDS: dict[str, Any] = {
    "submit": Commands._submit,
    "signal": Commands._signal,
    "exit": Commands._exit,
    "cancel": Commands._cancel,
    "tick": Commands._tick,
    "control": Commands._control,
    "degrade": Commands._degrade,
    "recover": Commands._recover,
    "resolve": Commands._resolve,
    "reset": Commands._reset,
    "capital": Commands._capital,
}
KINDS = tuple(_COMMANDS)
