"""What a session says of the books is what it found itself, never what an earlier one found."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from actors import messages as msg
from actors.summary import summarise
from fsm import events as ev
from tests.unit.engine.handmade import Bench

D = Decimal
FORGOTTEN = {"USD": D(1000), "XRP": D(1000)}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A session that traded, and whose books were the venue's."""
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.fill("t", "10")
    bench.wait(70)
    assert "ok" == truth(bench)
    return bench


def truth(bench: Bench) -> str:
    bench.engine.writer.project_all()
    return summarise(bench.engine, "test").truth


def start_with_a_venue_that_forgot(bench: Bench) -> None:
    """The venue's record is gone: it has the opening balances again."""
    bench.kill()
    bench.venue.open = None
    bench.start()
    bench.venue.open = {}
    bench.venue.balances = lambda: FORGOTTEN


def test_a_session_that_compared_nothing_does_not_repeat_what_the_one_before_had_found(
    bench: Bench,
) -> None:
    start_with_a_venue_that_forgot(bench)

    assert "unverified" == truth(bench)


def test_a_difference_that_was_seen_once_and_not_looked_at_again_is_unverified(
    bench: Bench,
) -> None:
    start_with_a_venue_that_forgot(bench)
    while not bench.engine.books.reconciler.truth.suspected:
        bench.wait(0.1)

    assert "unverified" == truth(bench)
    deltas = summarise(bench.engine, "test").truth_deltas
    assert {"USD", "XRP"} == set(deltas)
    assert {"ok"} == {compared.status for compared in bench.events(ev.BooksCompared)}
    bench.wait(3)
    assert "halt" == truth(bench)


def test_a_difference_in_the_middle_of_a_good_session_is_unverified_until_it_is_confirmed(
    bench: Bench,
) -> None:
    bench.venue.balances = lambda: FORGOTTEN
    bench.tell(msg.PassDue("books"))

    assert "unverified" == truth(bench)
    bench.wait(3)
    assert "halt" == truth(bench)
