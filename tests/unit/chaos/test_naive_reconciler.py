"""Each scenario about reconciliation can fail: a build that does what a naive one would fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors import fact_routing, messages, reconciler, registry, sweeping, system
from actors.entities import order, replacing
from actors.reconciling import pages, truth, verdicts
from actors.reconciling.truth import Outcome
from actors.runtime.actor import Decision
from fsm import facts
from fsm.order import OrderState
from tests.unit.chaos.runs import ROOT, fails_with

Patch = pytest.MonkeyPatch


def reads_balances_once(patch: Patch) -> None:
    patch.setattr(reconciler, "compare_books", lambda *about: Outcome("ok"))


def books_what_vanished(patch: Patch) -> None:
    patch.setattr(verdicts, "_rule_3", lambda case, policy: verdicts.Verdict.ASSUME_FILLED)


def knows_no_age(patch: Patch) -> None:
    patch.setattr(verdicts, "is_old", lambda case, policy: False)


def never_takes_an_inferred_fill_back(patch: Patch) -> None:
    patch.setitem(order._HANDLERS, facts.OrderCanceled, order.Order._on_canceled)


def compares_before_it_asks_for_fills(patch: Patch) -> None:
    patch.setattr(pages, "steps", lambda *about: iter(()))


def sweeps_no_pending_cancel(patch: Patch) -> None:
    passed_over = {*sweeping._PASSED_OVER, OrderState.CANCEL_PENDING}
    patch.setattr(sweeping, "_PASSED_OVER", passed_over)


def knows_only_this_sessions_orders(patch: Patch) -> None:
    patch.setattr(registry.Books, "refold_order", lambda self, client_order_id: None)


def takes_what_was_seen_for_written(patch: Patch) -> None:
    patch.setattr(fact_routing.FactRouter, "is_booked", lambda self, fill: True)


def adds_the_real_fill(patch: Patch) -> None:
    patch.setattr(replacing, "stood_for", lambda order, fact: None)


def tries_on(patch: Patch) -> None:
    patch.setattr(truth, "gone_at_venue", lambda deltas, world: [])


def routes_to_any_order(patch: Patch) -> None:
    real = fact_routing.FactRouter.find

    def naive(self: fact_routing.FactRouter, fact: Any) -> Any:
        for candidate in self.books.world.orders.values():
            if isinstance(fact, facts.OrderFill) and fact.client_order_id is None:
                return candidate
        return real(self, fact)

    patch.setattr(fact_routing.FactRouter, "find", naive)


def takes_funding_for_a_trade(patch: Patch) -> None:
    def naive(self: system.System, fact: facts.FundingPaid, turn: Any) -> None:
        trade = facts.OrderFill(
            trade_id=fact.funding_id,
            qty=abs(fact.amount),
            price=None,
            instrument=fact.instrument,
        )
        self._fact(trade, turn)

    patch.setitem(system._ROUTES, facts.FundingPaid, naive)


def moves_nothing_that_disappeared(patch: Patch) -> None:
    patch.setitem(
        order._HANDLERS,
        messages.HoldOrder,
        lambda self, message, world: Decision.ignore("it will come back"),
    )


NAIVE: dict[str, Callable[[Patch], None]] = {
    "incidents/N11": reads_balances_once,
    "incidents/N12": books_what_vanished,
    "incidents/N12b": knows_no_age,
    "incidents/N12c": never_takes_an_inferred_fill_back,
    "incidents/N21": compares_before_it_asks_for_fills,
    "incidents/N25": sweeps_no_pending_cancel,
    "incidents/N27": knows_only_this_sessions_orders,
    "incidents/X03": takes_what_was_seen_for_written,
    "incidents/X06": adds_the_real_fill,
    "incidents/X17": tries_on,
    "incidents/X26": routes_to_any_order,
    "incidents/X27": takes_funding_for_a_trade,
    "reconciler/ambiguous-assume-off": moves_nothing_that_disappeared,
    "reconciler/mixed": books_what_vanished,
}


@pytest.mark.parametrize("name", NAIVE)
def test_a_naive_build_fails_the_scenario(name: str, monkeypatch: Patch) -> None:
    fails_with(ROOT / f"{name}.toml", lambda: NAIVE[name](monkeypatch))
