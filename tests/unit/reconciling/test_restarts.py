"""What the reconciler has folded comes back from the journal and from a snapshot alike (L7)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from actors import messages as msg
from actors.message_groups import cooked, raw
from actors.reconciling.sweep import case_of
from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.snapshot import captured, restored
from actors.world import World
from fsm import events as ev
from fsm.order import OrderState
from fsm.timestamps import SECOND_US
from storage.journal import JournalReader
from tests.unit.engine.handmade import RULES, Bench, reported

D, S = Decimal, OrderState


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """One inferred fill, one order that is not ours, one divergence that was accepted."""
    bench = Bench(tmp_path, rules=evolve(RULES, assume_fill_when_young=True))
    bench.place()
    bench.accept()
    bench.venue.open = {"x": reported("x")}
    bench.venue.orders["a"] = None
    bench.tell(msg.PassDue("orders"))
    bench.kill()
    bench.accept_divergence = True
    bench.venue.open = None
    bench.start()
    bench.venue.balances = lambda: {"USD": D(900), "XRP": D(1000)}
    bench.venue.open = {"x": reported("x")}
    bench.wait(10)
    return bench


def folded(bench: Bench) -> Books:
    books = Books(World(rules=RULES, ids=IdSource("")), None)
    reader = JournalReader.open(bench.database)
    for recorded in reader.verified():
        books.fold(recorded.event, recorded.seq, recorded.turn, recorded.at_us)
    reader.close()
    return books


def test_a_fold_and_a_snapshot_hold_the_same(bench: Bench) -> None:
    from_journal = folded(bench)
    reconciler = from_journal.reconciler
    assert ["a"] == list(reconciler.inferred)
    assert {"USD": "-90", "XRP": "-10"} == reconciler.truth.accepted
    state = captured(from_journal)
    again = Books(World(rules=RULES, ids=IdSource("")), None)
    restored(state, again, from_journal.world.seq)

    assert state == captured(again)
    assert reconciler.inferred == again.reconciler.inferred
    assert reconciler.truth.accepted == again.reconciler.truth.accepted


def test_the_replacement_is_found_after_a_snapshot(bench: Bench) -> None:
    bench.restart()
    bench.fill("t1", "10")

    assert D(10) == bench.order().proven_qty
    assert D(1010) == bench.engine.world.ledger.totals["XRP"]
    bench.proven()


def test_a_replacement_that_was_not_processed_can_be_read_back(bench: Bench) -> None:
    bench.fill("t1", "10")
    [void] = bench.events(ev.OrderFillVoided)
    real = next(e for e in bench.events(ev.OrderFilled) if e.trade_id == "t1")
    for message in (
        msg.ReplacedForPosition("a", (void,), (real,)),
        msg.GoneAtVenue("a", D(4), "seen"),
        msg.AssumeFilled("a", "why"),
    ):
        kept = ev.MessageUnprocessed(
            actor="position/a", message=type(message).__name__, payload=raw(message), error=""
        )
        assert message == cooked(kept)


@pytest.mark.parametrize(
    ("since_s", "expected"), [(0, None), (100, 0), (40, 60), (159, 0), (161, None)]
)
def test_an_age_that_cannot_be_told_is_none(
    bench: Bench, since_s: int, expected: int | None
) -> None:
    order = bench.order()
    order.left_us = since_s * SECOND_US
    age_us = case_of(order, None, 100 * SECOND_US).age_us
    assert expected == (None if age_us is None else age_us // SECOND_US)
