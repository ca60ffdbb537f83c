"""Each required scenario can fail: a build that does what a naive one would do fails it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors import engine, messages, registry, system
from actors.entities import fills, order, placement, position
from actors.runtime.actor import Decision
from fsm import facts
from fsm.vocabulary import OrderRole
from storage import writer
from storage.projections import rebuild
from tests.unit.chaos.runs import ROOT, fails_with

Patch = pytest.MonkeyPatch


def forgets_that_an_exit_is_out(patch: Patch) -> None:
    real = position.Position.live_of

    def naive(self: position.Position, *roles: OrderRole) -> list[str]:
        return [] if OrderRole.EXIT in roles else real(self, *roles)

    patch.setattr(position.Position, "live_of", naive)


def takes_every_fill_for_a_new_one(patch: Patch) -> None:
    count = iter(range(10_000))

    def naive(self: order.Order, fact: facts.OrderFill, world: Any) -> Decision:
        again = attrs.evolve(fact, trade_id=f"{fact.trade_id}/{next(count)}")
        return fills.on_fill(self, again, world)

    patch.setitem(order._HANDLERS, facts.OrderFill, naive)


def keeps_stops_in_memory_only(patch: Patch) -> None:
    real = registry.Books.fold

    def naive(self: registry.Books, *recorded: Any) -> None:
        real(self, *recorded)
        for held in self.world.positions.values():
            held.stop = held.trail_stop = held.watermark = None

    patch.setattr(registry.Books, "fold", naive)


def waits_for_a_slow_exit(patch: Patch) -> None:
    patch.setitem(
        position._DECIDE, messages.ExitCheck, lambda self, message, world: Decision.ignore("later")
    )


def stores_the_dedup_key_first(patch: Patch) -> None:
    seen: set[str | None] = set()
    real_fact, real_restore = system.System._fact, system.System._restore

    def fact(self: system.System, fact: Any, turn: Any) -> None:
        if isinstance(fact, facts.OrderFill):
            if fact.trade_id in seen:
                return
            seen.add(fact.trade_id)
        real_fact(self, fact, turn)

    def restore(self: system.System, message: Any, turn: Any) -> None:
        self.quarantine[message.address] = []
        real_restore(self, message, turn)

    for kind, route in list(system._ROUTES.items()):
        if route is real_fact:
            patch.setitem(system._ROUTES, kind, fact)
    patch.setitem(system._ROUTES, messages.RestoreActor, restore)


def starts_with_empty_hands(patch: Patch) -> None:
    real = engine.folded

    def naive(reader: Any, books: Any, database: Path, **how: Any) -> Any:
        found = real(reader, books, database, **how)
        books.world.orders.clear()
        return found

    patch.setattr(engine, "folded", naive)
    patch.setattr(registry.Books, "refold_order", lambda self, client_order_id: None)


def writes_an_empty_id(patch: Patch) -> None:
    real = placement._validate

    def naive(message: messages.PlaceOrder, world: Any) -> None:
        named = message.client_order_id.strip() or "unnamed"
        real(attrs.evolve(message, client_order_id=named), world)

    patch.setattr(placement, "_validate", naive)


def never_reads_the_answer_of_a_cancel(patch: Patch) -> None:
    for kind in (messages.CancelTimedOut, facts.CancelRefused, facts.CancelUnanswered):
        patch.setitem(
            order._HANDLERS, kind, lambda self, message, world: Decision.ignore("not awaited")
        )


def books_a_vanished_order_as_filled(patch: Patch) -> None:
    def naive(self: order.Order, gone: facts.OrderCanceled, world: Any) -> Decision:
        assumed = facts.OrderFill(
            client_order_id=self.client_order_id,
            trade_id="assumed",
            qty=self.rest,
            price=self.limit_price,
        )
        return fills.on_fill(self, assumed, world)

    patch.setitem(order._HANDLERS, facts.OrderCanceled, naive)


def writes_at_leisure(patch: Patch) -> None:
    real = writer.open_writing_connection

    def naive(path: Path) -> sqlite3.Connection:
        conn = real(path)
        there = conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'journal'").fetchone()
        if there is not None:
            (head,) = conn.execute("SELECT coalesce(max(turn), 0) FROM journal").fetchone()
            for table in ("dedup_keys", "identities", "journal"):
                lost = "seq IN (SELECT seq FROM journal WHERE turn > ?)"
                conn.execute(f"DELETE FROM {table} WHERE {lost}", (head - 3,))
            rebuild(conn)
        return conn

    patch.setattr(writer, "open_writing_connection", naive)


NAIVE: dict[str, Callable[[Patch], None]] = {
    "N02": writes_at_leisure,
    "N17": books_a_vanished_order_as_filled,
    "N26": never_reads_the_answer_of_a_cancel,
    "M03": writes_an_empty_id,
    "X04": forgets_that_an_exit_is_out,
    "X05": takes_every_fill_for_a_new_one,
    "X13": keeps_stops_in_memory_only,
    "X15": waits_for_a_slow_exit,
    "X24": stores_the_dedup_key_first,
    "X25": starts_with_empty_hands,
}


@pytest.mark.parametrize("incident", NAIVE)
def test_a_naive_build_fails_the_scenario(incident: str, monkeypatch: Patch) -> None:
    path = ROOT / "incidents" / f"{incident}.toml"
    fails_with(path, lambda: NAIVE[incident](monkeypatch))
