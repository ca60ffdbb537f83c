"""Each incident of capital can fail: a build that does what a naive one would do fails it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors import capital_plan, engine, messages
from actors.entities import fills, order, position, quantity
from actors.entities.account import Account
from actors.guards.desk import GuardDesk
from actors.registry import Books
from actors.runtime.actor import Decision
from actors.venues.sim import SimVenue
from fsm import events as ev
from fsm import facts
from fsm.money import ZERO
from fsm.pnl import Step, apply_fill
from fsm.vocabulary import CapitalKind
from storage import ledger
from storage.capital import Anchor, Capital
from storage.inventory import Inventory
from storage.ledger import Ledger
from tests.unit.chaos.runs import ROOT, fails_with

Patch = pytest.MonkeyPatch


def _at_each_start(patch: Patch, change: Callable[[Books, Any], None]) -> None:
    """What a build does to its books once the journal is folded."""
    real = engine.folded

    def naive(reader: Any, books: Books, database: Path, **how: Any) -> Any:
        found = real(reader, books, database, **how)
        change(books, reader)
        return found

    patch.setattr(engine, "folded", naive)


def folds_fills_only(patch: Patch) -> None:
    real = Books.fold

    def fold(self: Books, event: Any, *where: Any) -> None:
        if isinstance(event, ev.CapitalRecorded) and event.kind != CapitalKind.OPENING:
            return
        real(self, event, *where)

    whole = engine.folded

    def naive(reader: Any, books: Books, database: Path, **how: Any) -> Any:
        with pytest.MonkeyPatch.context() as meanwhile:
            meanwhile.setattr(Books, "fold", fold)
            return whole(reader, books, database, **how)

    patch.setattr(engine, "folded", naive)


def adds_deposits_again(patch: Patch) -> None:
    def change(books: Books, reader: Any) -> None:
        for at in reader.events(types=("CapitalRecorded",)):
            if at.event.kind == CapitalKind.DEPOSIT:
                books.world.ledger._move(at.event.asset, at.event.amount)

    _at_each_start(patch, change)


def books_a_transfer_as_often_as_it_is_told(patch: Patch) -> None:
    patch.setattr(Account, "_is_booked", lambda self, key, world: False)
    real = Account._book

    def naive(self: Account, message: Any, world: Any) -> Decision:
        decision = real(self, message, world)
        decision.dedup_keys.clear()
        return decision

    patch.setattr(Account, "_book", naive)


def leaves_coins_out_of_the_basis(patch: Patch) -> None:
    real = capital_plan._moved

    def naive(wish: Any, world: Any) -> ev.CapitalRecorded:
        if wish.price is None and wish.asset not in world.ledger.quotes:
            event = real(attrs.evolve(wish, price=Decimal(1)), world)
            return attrs.evolve(event, value=ZERO, basis_delta=ZERO)
        return real(wish, world)

    patch.setattr(capital_plan, "_moved", naive)


def leaves_deposits_out_of_the_average(patch: Patch) -> None:
    patch.setattr(Inventory, "valued", lambda self, asset, qty, price: None)


def looks_at_no_limit(patch: Patch) -> None:
    patch.setattr(GuardDesk, "breaches", lambda self, totals, prices: [])


def takes_any_wallet(patch: Patch) -> None:
    def naive(
        self: Account, asset: str, wallet: Decimal, venue_us: int, origin: str, world: Any
    ) -> Decision:
        drift = wallet - world.ledger.totals.get(asset, ZERO)
        event = ev.CapitalAnchored(
            asset=asset, wallet=wallet, drift=drift, venue_us=venue_us, origin=origin
        )
        return Decision(events=[event])

    patch.setattr(Account, "_anchored", naive)


def multiplies_by_the_leverage(patch: Patch) -> None:
    def naive(held: Any, message: Any, world: Any) -> Decision:
        with pytest.MonkeyPatch.context() as meanwhile:

            def levered(holding: Any, delta: Decimal, price: Decimal | None) -> Step:
                step = apply_fill(holding, delta, price)
                return attrs.evolve(step, realized=step.realized * held.leverage)

            meanwhile.setattr(quantity, "apply_fill", levered)
            return real(held, message, world)

    real = quantity.on_fill
    patch.setitem(position._DECIDE, messages.FillForPosition, naive)


def books_the_protective_price(patch: Patch) -> None:
    real = fills.on_fill

    def naive(self: order.Order, fact: facts.OrderFill, world: Any) -> Decision:
        return real(self, attrs.evolve(fact, price=fact.price or fact.order_price), world)

    patch.setitem(order._HANDLERS, facts.OrderFill, naive)


def settles_the_carried_result_again(patch: Patch) -> None:
    def change(books: Books, reader: Any) -> None:
        for carried in books.world.positions.values():
            books.world.ledger.realized_pnl += carried.realized_pnl

    _at_each_start(patch, change)


def takes_the_last_price_for_the_basis(patch: Patch) -> None:
    def naive(holding: Any, delta: Decimal, price: Decimal | None) -> Step:
        step = apply_fill(holding, delta, price)
        if step.holding.qty and price is not None:
            step = attrs.evolve(step, holding=attrs.evolve(step.holding, basis=price))
        return step

    patch.setattr(quantity, "apply_fill", naive)


def earns_its_fees(patch: Patch) -> None:
    real = quantity._fee_in_quote
    patch.setattr(quantity, "_fee_in_quote", lambda *given: -real(*given))


def pays_its_fees_twice(patch: Patch) -> None:
    real = Ledger._position

    def naive(self: Ledger, event: ev.PositionChanged) -> None:
        real(self, event)
        spec = self.instruments.get(event.instrument)
        if spec is not None:
            self._move(spec.quote, -event.fee_quote)

    patch.setitem(ledger._FOLDS, ev.PositionChanged, naive)


def counts_the_opening_as_profit(patch: Patch) -> None:
    real = Capital.record

    def naive(self: Capital, event: ev.CapitalRecorded, seq: int, quotes: Any) -> Decimal:
        opened = self.net_basis
        value = real(self, event, seq, quotes)
        if event.kind == CapitalKind.OPENING:
            self.net_basis = opened
        return value

    patch.setattr(Capital, "record", naive)


def books_funding_as_profit_of_a_trade(patch: Patch) -> None:
    real = Ledger._funding

    def naive(self: Ledger, event: ev.FundingBooked) -> None:
        real(self, event)
        self.realized_pnl += event.amount

    patch.setitem(ledger._FOLDS, ev.FundingBooked, naive)


def forgets_what_dust_cost(patch: Patch) -> None:
    patch.setattr(Inventory, "went", lambda self, asset, qty: self.held.pop(asset, None))


def books_what_the_wallet_has_more(patch: Patch) -> None:
    """The difference is nobody's profit and nobody's deposit, but the balances agree again."""

    def naive(self: Ledger, event: ev.BooksCompared) -> None:
        for asset, delta in event.deltas.items():
            self._move(asset, Decimal(delta))

    patch.setitem(ledger._FOLDS, ev.BooksCompared, naive)


def moves_nothing_at_the_venue(patch: Patch) -> None:
    patch.setattr(SimVenue, "transfer", lambda self, ref, amounts: False)


def lets_an_old_difference_swallow_what_follows(patch: Patch) -> None:
    def naive(self: Anchor, delta: Decimal) -> bool:
        return (delta > 0) == (self.drift > 0) and abs(delta) <= abs(self.drift)

    patch.setattr(Anchor, "is_just", naive)


def keeps_its_own_sum(patch: Patch) -> None:
    patch.setattr(Capital, "drift", ZERO)


NAIVE: dict[str, tuple[str, Callable[[Patch], None]]] = {
    "N04": ("N04", folds_fills_only),
    "N05": ("N05", adds_deposits_again),
    "N05-told again": ("N05", books_a_transfer_as_often_as_it_is_told),
    "N06": ("N06", leaves_coins_out_of_the_basis),
    "N06-average": ("N06", leaves_deposits_out_of_the_average),
    "N07": ("N07", looks_at_no_limit),
    "P01a": ("P01a", multiplies_by_the_leverage),
    "P01b": ("P01b", books_the_protective_price),
    "P01c": ("P01c", settles_the_carried_result_again),
    "P01d": ("P01d", takes_the_last_price_for_the_basis),
    "P01e": ("P01e", multiplies_by_the_leverage),
    "P05": ("P05", takes_any_wallet),
    "X10": ("X10", earns_its_fees),
    "X11": ("X11", pays_its_fees_twice),
    "X12": ("X12", counts_the_opening_as_profit),
    "X27": ("X27", books_funding_as_profit_of_a_trade),
    "N11": ("N11", books_what_the_wallet_has_more),
    "M08": ("M08", forgets_what_dust_cost),
}


@pytest.mark.parametrize("name", NAIVE)
def test_a_naive_build_fails_the_scenario(name: str, monkeypatch: Patch) -> None:
    incident, naive = NAIVE[name]
    fails_with(ROOT / "incidents" / f"{incident}.toml", lambda: naive(monkeypatch))


@pytest.mark.parametrize(
    ("name", "naive"),
    [
        ("capital-on-paper", moves_nothing_at_the_venue),
        ("anchors", lets_an_old_difference_swallow_what_follows),
        ("anchors", keeps_its_own_sum),
    ],
)
def test_a_naive_build_fails_the_scenario_of_the_ledger(
    name: str, naive: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    fails_with(ROOT / "ledger" / f"{name}.toml", lambda: naive(monkeypatch))
