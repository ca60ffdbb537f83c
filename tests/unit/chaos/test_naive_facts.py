"""Each incident of facts, figures and rows can fail: a build that does what a naive one would do
fails its scenario."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest

from actors import fact_routing, messages, system
from actors.entities import position
from actors.runtime.actor import Decision
from actors.venue_settlements import VenueSettlements
from fsm import events as ev
from fsm import facts
from fsm.money import ONE, ZERO
from storage import ledger, projection_rows
from tests.unit.chaos.runs import ROOT, fails_with

Patch = pytest.MonkeyPatch


def leaves_fees_out_of_the_account(patch: Patch) -> None:
    real = ledger._FOLDS[ev.PositionChanged]

    def naive(self: ledger.Ledger, event: ev.PositionChanged) -> None:
        real(self, attrs.evolve(event, fee_quote=ZERO))

    patch.setitem(ledger._FOLDS, ev.PositionChanged, naive)


def writes_each_row_by_two_paths(patch: Patch) -> None:
    real = projection_rows.HANDLERS["OrderFilled"]

    def naive(batch: Any, at: Any, event: ev.OrderFilled) -> None:
        real(batch, at, event)
        real(batch, at, attrs.evolve(event, trade_id=f"{event.trade_id} again"))

    patch.setitem(projection_rows.HANDLERS, "OrderFilled", naive)


def does_not_know_what_it_has_settled(patch: Patch) -> None:
    real = VenueSettlements.resolved

    def naive(self: VenueSettlements, fact: facts.InstrumentResolved) -> Decision:
        paid, self.books.world.ledger.resolved = self.books.world.ledger.resolved, {}
        decision = real(self, fact)
        self.books.world.ledger.resolved = paid
        decision.ignored = None
        if not decision.events:
            spec = self.books.world.ledger.instruments[fact.instrument]
            decision.events.append(self._settled(spec, fact))
        return decision

    patch.setitem(system._SETTLING, facts.InstrumentResolved, naive)


def applies_what_fits_nothing_to_the_first_order(patch: Patch) -> None:
    real = fact_routing.FactRouter.find

    def naive(self: fact_routing.FactRouter, fact: Any) -> Any:
        found = real(self, fact)
        if isinstance(found, Decision) and isinstance(fact, facts.OrderFill):
            return next(iter(self.books.world.orders.values()), found)
        return found

    patch.setattr(fact_routing.FactRouter, "find", naive)


def drops_a_negative_duration(patch: Patch) -> None:
    real = projection_rows.HANDLERS["OrderFilled"]

    def naive(batch: Any, at: Any, event: ev.OrderFilled) -> None:
        if event.venue_us >= at.at_us:
            real(batch, at, event)

    patch.setitem(projection_rows.HANDLERS, "OrderFilled", naive)


def leaves_zero_microseconds_out(patch: Patch) -> None:
    def naive(us: int) -> str:
        return datetime.fromtimestamp(us / 1_000_000, UTC).isoformat().replace("+00:00", "Z")

    patch.setattr(projection_rows, "when", naive)


def drops_what_does_not_name_its_order(patch: Patch) -> None:
    patch.setattr(fact_routing.FactRouter, "_by_state", lambda self, fact: None)


def waits_for_the_last_crumb(patch: Patch) -> None:
    real = position.Position.quantity_guard

    def naive(self: position.Position, qty: Decimal) -> str:
        held, self.min_qty = self.min_qty, ZERO
        guard = real(self, qty)
        self.min_qty = held
        return guard

    patch.setattr(position.Position, "quantity_guard", naive)


def settles_wins_and_losses_only(patch: Patch) -> None:
    def naive(self: VenueSettlements, fact: facts.InstrumentResolved) -> Decision:
        if fact.payout not in (ZERO, ONE):
            return Decision.ignore("neither won nor lost")
        return VenueSettlements.resolved(self, fact)

    patch.setitem(system._SETTLING, facts.InstrumentResolved, naive)


def pays_out_what_came_in_time_only(patch: Patch) -> None:
    patch.setitem(
        system._SETTLING, messages.SettleLate, lambda self, message: Decision.ignore("too late")
    )


def goes_on_with_its_exit(patch: Patch) -> None:
    real = position._DECIDE[messages.ClosedAtVenue]

    def naive(self: position.Position, message: Any, world: Any) -> Decision:
        decision: Decision = real(self, message, world)
        decision.tells = [t for t in decision.tells if not isinstance(t, messages.CancelOrder)]
        return decision

    patch.setitem(position._DECIDE, messages.ClosedAtVenue, naive)


def believes_our_id(patch: Patch) -> None:
    patch.setattr(fact_routing.FactRouter, "_is_claimed", staticmethod(lambda owner, order: True))


NAIVE: dict[str, list[Callable[[Patch], None]]] = {
    "incidents/P02": [leaves_fees_out_of_the_account],
    "incidents/P03": [writes_each_row_by_two_paths, does_not_know_what_it_has_settled],
    "incidents/P04": [applies_what_fits_nothing_to_the_first_order],
    "incidents/P07": [drops_a_negative_duration],
    "incidents/P08": [leaves_zero_microseconds_out],
    "incidents/P09": [drops_what_does_not_name_its_order],
    "incidents/M08": [waits_for_the_last_crumb],
    "incidents/M09": [settles_wins_and_losses_only, pays_out_what_came_in_time_only],
    "positions/closed-at-the-venue": [goes_on_with_its_exit],
    "orders/ids-disagree": [believes_our_id],
}


@pytest.mark.parametrize(
    ("name", "naive"), [(name, one) for name, ones in NAIVE.items() for one in ones]
)
def test_a_naive_build_fails_the_scenario(
    name: str, naive: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    fails_with(ROOT / f"{name}.toml", lambda: naive(monkeypatch))
