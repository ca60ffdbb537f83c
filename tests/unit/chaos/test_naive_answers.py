"""More naive builds: what they make of modes, money and the venue's answers. See `test_naive`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import attrs
import pytest

from actors import messages, registry, system
from actors.entities import cancels, fills, mode, order
from actors.runtime.actor import Decision
from fsm import events, facts
from fsm.facts import Absent, Found, Unavailable
from fsm.mode import ModeState
from fsm.order import OrderState, OrderTrigger
from fsm.vocabulary import ExitReason
from storage import ledger
from tests.unit.chaos.runs import ROOT, fails_with

Patch = pytest.MonkeyPatch


def carries_the_halt_over(patch: Patch) -> None:
    real = mode.Mode._evolve_session

    def naive(self: mode.Mode, event: events.SessionStarted) -> None:
        before = self.halt_reason
        real(self, event)
        self.halt_reason = before

    patch.setattr(mode.Mode, "_evolve_session", naive)


def lets_the_later_reason_win(patch: Patch) -> None:
    real = mode.Mode._evolve_moved

    def naive(self: mode.Mode, event: events.ModeMoved, at_us: int) -> None:
        real(self, event, at_us)
        self.halt_reason = event.reason or self.halt_reason

    def halts_again(self: mode.Mode, message: messages.Halt, world: Any) -> Decision:
        halted = events.ModeMoved(trigger="halt", state=ModeState.HALTED, reason=message.reason)
        return Decision(events=[halted])

    patch.setattr(mode.Mode, "_evolve_moved", naive)
    patch.setitem(mode._DECIDE, messages.Halt, halts_again)


def starts_in_the_mode_it_ended_in(patch: Patch) -> None:
    real = mode.Mode._evolve_session

    def naive(self: mode.Mode, event: events.SessionStarted) -> None:
        before = dict(self.sources)
        real(self, event)
        self.sources = before

    patch.setattr(mode.Mode, "_evolve_session", naive)


def throws_the_refusal_of_a_cancel_away(patch: Patch) -> None:
    patch.setitem(
        order._HANDLERS, facts.CancelRefused, lambda self, fact, world: Decision.ignore("too late")
    )


def _answers(patch: Patch, kind: type, reading: Callable[[Any], Any]) -> None:
    """Every answer of this kind is read by a naive reconciler."""
    real = system._ROUTES[kind]

    def route(self: system.System, message: Any, turn: Any) -> None:
        real(self, attrs.evolve(message, result=reading(message.result)), turn)

    patch.setitem(system._ROUTES, kind, route)


def _failed_as(value: Any) -> Callable[[Any], Any]:
    return lambda result: value if isinstance(result, Unavailable) else result


def takes_a_failed_query_for_an_absence(patch: Patch) -> None:
    _answers(patch, facts.OpenOrdersAnswer, _failed_as(Found(())))
    _answers(patch, facts.FillsAnswer, _failed_as(Found(facts.FillsPage(fills=()))))
    _answers(patch, facts.OrderAnswer, _failed_as(Absent("not found")))


def takes_a_failed_query_for_flat(patch: Patch) -> None:
    _answers(patch, facts.PositionsAnswer, _failed_as(Found(())))


def never_asks_for_fills(patch: Patch) -> None:
    _answers(patch, facts.FillsAnswer, lambda result: Found(facts.FillsPage(fills=())))


def crashes_over_an_outage(patch: Patch) -> None:
    def naive(self: system.System, message: messages.QueryTimedOut, turn: Any) -> None:
        raise TimeoutError(message.request_id)

    patch.setitem(system._ROUTES, messages.QueryTimedOut, naive)


def reports_a_timeout_as_failed(patch: Patch) -> None:
    def naive(self: order.Order, message: messages.SubmitTimedOut, world: Any) -> Decision:
        return self.moved(OrderTrigger.REJECTED, "timed out")

    patch.setitem(order._HANDLERS, messages.SubmitTimedOut, naive)


def invents_ids(patch: Patch) -> None:
    numbers = count()
    patch.setattr(fills, "unnamed_id", lambda *told: f"random-{next(numbers)}")


def drops_orders_when_balances_differ(patch: Patch) -> None:
    real = system._ROUTES[facts.BalancesAnswer]

    def route(self: system.System, message: Any, turn: Any) -> None:
        if isinstance(message.result, Found) and message.result.value != self.world.ledger.totals:
            for name in list(self.world.orders):
                self._step(facts.OrderCanceled(client_order_id=name, reason="start over"), turn)
        real(self, message, turn)

    patch.setitem(system._ROUTES, facts.BalancesAnswer, route)


def takes_the_fee_for_profit(patch: Patch) -> None:
    real = fills.on_fill

    def naive(self: order.Order, fact: facts.OrderFill, world: Any) -> Decision:
        return real(self, attrs.evolve(fact, fee=-fact.fee), world)

    patch.setitem(order._HANDLERS, facts.OrderFill, naive)


def subtracts_the_fee_twice(patch: Patch) -> None:
    real = ledger.Ledger.apply

    def naive(self: ledger.Ledger, event: Any, seq: int) -> None:
        real(self, event, seq)
        if isinstance(event, events.OrderFilled) and event.fee_asset is not None:
            self.fees_paid += event.fee

    patch.setattr(ledger.Ledger, "apply", naive)


def counts_opening_coins_as_profit(patch: Patch) -> None:
    real = ledger.Ledger.apply

    def naive(self: ledger.Ledger, event: Any, seq: int) -> None:
        real(self, event, seq)
        if isinstance(event, events.CapitalRecorded):
            self.realized_pnl += event.amount

    patch.setattr(ledger.Ledger, "apply", naive)


def closes_what_it_finds_open(patch: Patch) -> None:
    real = system._ROUTES[messages.BooksMatch]

    def naive(self: system.System, message: Any, turn: Any) -> None:
        real(self, message, turn)
        for position_id in list(self.world.positions):
            self.follow(messages.RequestExit(position_id, ExitReason.FLATTEN, "clean slate"))

    patch.setitem(system._ROUTES, messages.BooksMatch, naive)


def raises_in_the_kill_switch(patch: Patch) -> None:
    def naive(self: mode.Mode, message: messages.SetControl, world: Any) -> Decision:
        raise RuntimeError("no such state")

    patch.setitem(mode._DECIDE, messages.SetControl, naive)


def calls_a_cancel_done_when_it_left(patch: Patch) -> None:
    real = cancels.on_cancel

    def naive(self: order.Order, message: messages.CancelOrder, world: Any) -> Decision:
        decision = real(self, message, world)
        decision.tells.append(facts.OrderCanceled(client_order_id=self.client_order_id))
        return decision

    patch.setitem(order._HANDLERS, messages.CancelOrder, naive)


def has_deleted_the_rejected_order(patch: Patch) -> None:
    real = fills.on_fill

    def naive(self: order.Order, fact: facts.OrderFill, world: Any) -> Decision:
        return real(self, fact, world) if self.is_live else Decision.ignore("no such order")

    patch.setitem(order._HANDLERS, facts.OrderFill, naive)


def believes_the_first_snapshot(patch: Patch) -> None:
    def naive(self: system.System, message: facts.PositionsAnswer, turn: Any) -> None:
        if isinstance(message.result, Found) and message.result.value:
            self.follow(messages.Degrade("wallet_truth", "positions differ"))
        real(self, message, turn)

    real = system._ROUTES[facts.PositionsAnswer]
    patch.setitem(system._ROUTES, facts.PositionsAnswer, naive)


def never_ends_what_it_cancelled(patch: Patch) -> None:
    real = registry.Books._order_event

    def naive(self: registry.Books, event: Any, at_us: int) -> None:
        if isinstance(event, events.OrderMoved) and event.trigger == OrderTrigger.CANCELED:
            event = attrs.evolve(event, state=OrderState.CANCELLED_BY_ENGINE)
        real(self, event, at_us)

    patch.setitem(registry._APPLY, events.OrderMoved, naive)


NAIVE: dict[str, Callable[[Patch], None]] = {
    "N09": carries_the_halt_over,
    "N10": lets_the_later_reason_win,
    "N15": starts_in_the_mode_it_ended_in,
    "N19": throws_the_refusal_of_a_cancel_away,
    "N24": never_ends_what_it_cancelled,
    "X01": takes_a_failed_query_for_an_absence,
    "X02": reports_a_timeout_as_failed,
    "X07": invents_ids,
    "X08": drops_orders_when_balances_differ,
    "X09": never_asks_for_fills,
    "X10": takes_the_fee_for_profit,
    "X11": subtracts_the_fee_twice,
    "X12": counts_opening_coins_as_profit,
    "X14": closes_what_it_finds_open,
    "X16": crashes_over_an_outage,
    "X18": raises_in_the_kill_switch,
    "X19": calls_a_cancel_done_when_it_left,
    "X21": has_deleted_the_rejected_order,
    "X22": takes_a_failed_query_for_flat,
    "X23": believes_the_first_snapshot,
}

#: The naive build of these raises: that is their incident.
RAISES = ("X16", "X18")


@pytest.mark.parametrize("incident", NAIVE)
def test_a_naive_build_fails_the_scenario(incident: str, monkeypatch: Patch) -> None:
    path = ROOT / "incidents" / f"{incident}.toml"
    fails_with(path, lambda: NAIVE[incident](monkeypatch), raises=incident in RAISES)
