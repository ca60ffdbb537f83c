"""Each incident of the ledger can fail: a build that does what a naive one would do fails it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from actors.entities import slippage
from actors.registry import Books
from fsm import events as ev
from storage import ledger
from tests.unit.chaos.runs import ROOT, fails_with

Patch = pytest.MonkeyPatch


def learns_from_the_capital(patch: Patch) -> None:
    """The result of a trade is taken for what the account gained while it was open."""
    before: dict[str, Any] = {}

    def naive(self: Books, event: Any) -> None:
        if isinstance(event, ev.PositionOpened):
            before[event.position_id] = self.world.ledger.capital
        result = self.trades.apply(event)
        if result is not None:
            gained = self.world.ledger.capital - before[result.position_id]
            self.world.sizer.feedback(evolve(result, net_quote=gained))

    patch.setattr(Books, "_learn", naive)


def forgets_its_trades_at_a_restart(patch: Patch) -> None:
    """The sizer learns while it runs, not from the journal."""
    real = Books._learn

    def naive(self: Books, event: Any) -> None:
        if self.reader is not None:
            real(self, event)

    patch.setattr(Books, "_learn", naive)


def carries_the_sums_over(patch: Patch) -> None:
    """A session goes on with the sums of the one before."""
    real = ledger._FOLDS[ev.SessionStarted]

    def naive(self: ledger.Ledger, event: ev.SessionStarted) -> None:
        before, known = self.before, self.provenance.hanging_before
        real(self, event)
        if before.session_id:
            self.before, self.provenance.hanging_before = before, known

    patch.setitem(ledger._FOLDS, ev.SessionStarted, naive)


def takes_the_protective_limit_for_the_intention(patch: Patch) -> None:
    def naive(order: Any) -> Any:
        return order.limit_price if order.limit_price is not None else order.reserve_price

    patch.setattr(slippage, "intended_price", naive)


NAIVE: dict[str, tuple[str, Callable[[Patch], None]]] = {
    "P06-capital": ("incidents/P06.toml", learns_from_the_capital),
    "P06-memory": ("incidents/P06.toml", forgets_its_trades_at_a_restart),
    "reports-sums": ("ledger/reports.toml", carries_the_sums_over),
    "reports-slippage": (
        "ledger/reports.toml",
        takes_the_protective_limit_for_the_intention,
    ),
}


@pytest.mark.parametrize("name", NAIVE)
def test_a_naive_build_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, naive = NAIVE[name]
    fails_with(ROOT / path, lambda: naive(monkeypatch))
