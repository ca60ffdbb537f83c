"""A fact that matches nothing waits thirty seconds, however often it is tried meanwhile."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from fsm import events as ev
from tests.unit.engine.handmade import Bench, fill

D = Decimal


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def waiting(bench: Bench) -> int:
    return len(bench.engine.system.facts.unresolved.waiting)


def acknowledge_another(bench: Bench, name: str) -> None:
    """Each acknowledgement tries what waits again."""
    bench.place(name, qty=D(1))
    bench.accept(name)


def test_acknowledgements_of_other_orders_do_not_prolong_the_wait_of_a_fact_without_an_order(
    bench: Bench,
) -> None:
    bench.fill("t", "1", "nobody")
    for number in range(14):
        bench.wait(2)
        acknowledge_another(bench, f"o{number}")
    assert 1 == waiting(bench)
    bench.wait(3)
    acknowledge_another(bench, "last")

    assert 0 == waiting(bench)
    assert 1 == len(bench.events(ev.FactUnresolved))
    bench.proven()


def test_many_unresolved_facts_are_all_forgotten_after_thirty_seconds_of_acknowledgements(
    bench: Bench,
) -> None:
    bench.say(*[fill(f"t{n}", "1", f"nobody{n}") for n in range(100)])
    assert 100 == waiting(bench)
    for number in range(3):
        bench.wait(11)
        acknowledge_another(bench, f"o{number}")

    assert 0 == waiting(bench)


def test_without_any_acknowledgement_they_are_forgotten_too(bench: Bench) -> None:
    bench.fill("t", "1", "nobody")
    bench.wait(29)
    assert 1 == waiting(bench)
    bench.wait(2)
    assert 0 == waiting(bench)


def test_a_fact_that_was_tried_in_vain_is_booked_when_its_order_is_known_in_time(
    bench: Bench,
) -> None:
    bench.fill("t", "4")
    bench.wait(10)
    acknowledge_another(bench, "o")
    bench.wait(10)
    bench.place()
    bench.accept()

    assert D(4) == bench.order().filled_qty
    assert 0 == waiting(bench)
    bench.proven()
