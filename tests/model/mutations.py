"""Deliberate defects, each of a kind that real systems have had: an exploration finds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from actors import effects, reconciler
from actors import messages as msg
from actors.entities import fills, replacing
from actors.entities import order as order_module
from actors.fact_routing import FactRouter
from actors.reconciling import passes, verdicts
from actors.reconciling.verdicts import Seen
from actors.release import Release
from actors.runtime.actor import Decision
from actors.runtime.dispatcher import Dispatcher
from fsm import events as ev
from fsm import facts
from fsm.facts import Absent, Found, Unavailable
from fsm.order import OrderState
from fsm.requests import Submit
from fsm.vocabulary import OrderRole
from storage import ledger
from tests.model.core import ASSUMING, ORDER
from tests.model.steps import Scope
from tests.model.venue import Budget


def unavailable_is_absent(patch: pytest.MonkeyPatch) -> None:
    """A failed query is read as "there is none" (X01, X22)."""
    real = reconciler.Reconciler._answered
    empty = {
        facts.OpenOrdersAnswer: Found(()),
        facts.FillsAnswer: Found(facts.FillsPage(fills=())),
        facts.OrderAnswer: Absent("no answer"),
    }

    def answered(self: Any, answer: Any, world: Any, decision: Any) -> None:
        if isinstance(answer.result, Unavailable):
            answer = evolve(answer, result=empty.get(type(answer), answer.result))
        real(self, answer, world, decision)

    patch.setattr(reconciler.Reconciler, "_answered", answered)


def no_dedup(patch: pytest.MonkeyPatch) -> None:
    """A fill that is told twice is booked twice (P03, X04)."""

    def on_fill(order: Any, fact: Any, world: Any) -> Decision:
        return fills.on_fill(evolve(order, trades=None), fact, world)

    patch.setitem(order_module._HANDLERS, facts.OrderFill, on_fill)
    patch.setattr(FactRouter, "_is_known", lambda self, fill: False)


def books_what_disappeared(patch: pytest.MonkeyPatch) -> None:
    """An order that is gone is assumed to be filled (N11, N17)."""

    def filled(order: Any, case: Any, seen: Any, reached: Any, told: str) -> list[object]:
        fill = facts.OrderFill(
            trade_id="assumed", client_order_id=ORDER, qty=order.rest, price=order.limit_price
        )
        return [fill] if seen is Seen.ABSENT and order.venue_order_id is not None else []

    patch.setattr(reconciler, "messages", filled)


def acts_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """Requests leave at once, whatever becomes of the turn (L1)."""
    real = Dispatcher._hand_over

    def hand_over(self: Any, turn: Any) -> None:
        timers = (effects.SetTimer, effects.CancelTimer)
        early = [effect for effect in turn.effects if not isinstance(effect, timers)]
        turn.effects = [effect for effect in turn.effects if isinstance(effect, timers)]
        for effect in early:
            self.core.release(effect)
        real(self, turn)

    patch.setattr(Dispatcher, "_hand_over", hand_over)


def forgets_late_fills(patch: pytest.MonkeyPatch) -> None:
    """A fill that comes after the cancel's confirmation is dropped (N19)."""

    def on_fill(order: Any, fact: Any, world: Any) -> Decision:
        return fills.on_fill(order, fact, world) if order.is_live else Decision.ignore("late")

    patch.setitem(order_module._HANDLERS, facts.OrderFill, on_fill)


def sends_again(patch: pytest.MonkeyPatch) -> None:
    """A submit without an answer is tried once more (M07)."""

    def timed_out(order: Any, message: Any, world: Any) -> Decision:
        if order.state is not OrderState.SUBMITTED:
            return Decision.ignore("answered")
        request = Submit(
            client_order_id=ORDER, instrument=order.instrument, side=order.side, qty=order.qty,
            type=order.type, limit_price=order.limit_price,
        )  # fmt: skip
        return Decision(effects=[effects.SendSubmit(request, OrderRole.ENTRY)])

    patch.setitem(order_module._HANDLERS, msg.SubmitTimedOut, timed_out)
    patch.setattr(Release, "_submit", lambda self, effect: self.gateway.send(effect.request))


def frees_funds_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """An UNKNOWN order reserves nothing any more (L4, X02)."""

    def moved(self: Any, event: Any) -> None:
        if event.state in (*ledger.TERMINAL, OrderState.UNKNOWN):
            self._release(event.client_order_id)

    patch.setitem(ledger._FOLDS, ev.OrderMoved, moved)


def believes_old_answers(patch: pytest.MonkeyPatch) -> None:
    """A lookup that left before the acknowledgement came is taken for the newer word."""
    for module in (passes, reconciler):
        patch.setattr(module, "looks", lambda order: ())


def restart_trusts_memory(patch: pytest.MonkeyPatch) -> None:
    """After a restart an order that was on its way is taken for one that never left (X25)."""
    from actors import sessions

    real = sessions._doubt

    def gone(order_id: str, position_id: Any, state: Any) -> Any:
        return evolve(real(order_id, position_id, state), state=OrderState.CANCELED)

    patch.setattr(sessions, "_doubt", gone)


def assumes_what_it_took_back(patch: pytest.MonkeyPatch) -> None:
    """An order that the engine cancelled, and that is gone, is inferred to be filled (N17)."""
    patch.setattr(verdicts, "_rule_1", lambda case: verdicts.Verdict.ASSUME_FILLED)

    def assumed(order: Any, message: Any, world: Any) -> Decision:
        return replacing.on_assumed(evolve(order, engine_cancelled=False), message, world)

    patch.setitem(order_module._HANDLERS, msg.AssumeFilled, assumed)


Mutation = Callable[[pytest.MonkeyPatch], None]
_LATE = Scope("late commits", Budget(fills=1, times=0), commits_at_once=False)
_ASSUMED = Scope("assumed", Budget(fills=0, degrades=1, forgets=1, times=1), ASSUMING)
#: Each with the scope in which it has to be found.
MUTATIONS: tuple[tuple[Mutation, Scope], ...] = (
    (unavailable_is_absent, Scope("failing", Budget(fills=1, unavailable=9, times=3))),
    (no_dedup, Scope("twice", Budget(fills=2, duplicates=1, times=0))),
    (books_what_disappeared, Scope("gone", Budget(fills=0, forgets=1, expires=1, times=2))),
    (acts_before_the_commit, _LATE),
    (forgets_late_fills, Scope("late", Budget(fills=1, degrades=1, times=0))),
    (sends_again, Scope("calm", Budget(fills=0, times=2))),
    (frees_funds_in_doubt, Scope("calm", Budget(fills=0, times=2))),
    (believes_old_answers, Scope("overtaken", Budget(fills=0, degrades=1, times=0))),
    (assumes_what_it_took_back, _ASSUMED),
    (restart_trusts_memory, Scope("killed", Budget(fills=0, crashes=1, times=0))),
)
