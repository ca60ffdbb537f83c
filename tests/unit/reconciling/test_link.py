"""The venue's link: ok, backing off, an outage that is said once and waited out (X16)."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import messages
from fsm.facts import Unavailable
from fsm.order import OrderState
from fsm.timestamps import SECOND_US
from tests.unit.engine.handmade import Bench, reported


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported()}
    return bench


def alerts(bench: Bench) -> tuple[int, int]:
    counts = bench.engine.release.alert_counts
    return counts.get("VENUE_OUTAGE", 0), counts.get("VENUE_BACK", 0)


def link(bench: Bench) -> tuple[str, int]:
    state = bench.engine.document()["venue"]["link"]
    return state["state"], state["failures"]


def test_an_outage_is_said_once_and_ends_no_order(bench: Bench) -> None:
    """After three wallets that could not be read entries are taken back: that is our intent, and
    the one change that an outage makes."""
    bench.venue.silent = True
    bench.wait(170)
    assert ("outage", OrderState.WORKING, "ACTIVE") == (
        link(bench)[0],
        bench.order().state,
        bench.mode,
    )
    bench.wait(1_630)
    assert "outage" == link(bench)[0]
    assert (1, 0) == alerts(bench)
    assert OrderState.CANCELLED_BY_ENGINE is bench.order().state
    bench.venue.silent = False
    bench.wait(60)

    assert ("ok", 0) == link(bench)
    assert (1, 1) == alerts(bench)
    assert OrderState.CANCELLED_BY_ENGINE is bench.order().state
    assert "ACTIVE" == bench.mode


def test_orders_in_doubt_do_not_keep_asking_a_venue_that_does_not_answer(bench: Bench) -> None:
    for number in range(40):
        bench.place(f"b{number}")
        bench.accept(f"b{number}")
        bench.wait(0.1)
    bench.venue.silent = True
    bench.tell(messages.Degrade("operator_test", ""))
    bench.wait(60)
    before = bench.engine.books.reconciler.passes
    bench.wait(600)
    assert bench.engine.books.reconciler.passes - before <= 600 // 30 + 600 // 60 + 1


def test_one_failed_query_backs_off_and_alarms_nobody(bench: Bench) -> None:
    bench.venue.fills = None
    bench.wait(120)
    state, failures = link(bench)
    assert "backing_off" == state
    assert failures >= 2
    assert (0, 0) == alerts(bench)


def test_the_pause_doubles_up_to_its_limit(bench: Bench) -> None:
    bench.venue.open = bench.venue.fills = None
    pauses = []
    for _ in range(6):
        before = bench.engine.books.reconciler.passes
        while bench.engine.books.reconciler.passes == before:
            bench.wait(0.5)
        reconciler = bench.engine.books.reconciler
        assert reconciler.link.next_try_us is not None
        assert reconciler.last_at_us is not None
        pauses.append((reconciler.link.next_try_us - reconciler.last_at_us) // SECOND_US)

    assert [5, 10, 20, 30, 30, 30] == pauses


def test_maintenance_is_an_outage_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.venue.open = bench.venue.fills = None
    monkeypatch.setattr(
        "tests.unit.engine.handmade.Unavailable", lambda reason: Unavailable("in maintenance")
    )
    bench.wait(6)

    assert "outage" == link(bench)[0]
    assert (1, 0) == alerts(bench)
