"""Inferred fills and fills without a name: replaced by the real one, never added to it (X06)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from actors import messages as msg
from fsm import events as ev
from fsm import facts
from fsm.order import OrderState
from fsm.position import PositionState
from fsm.timestamps import SECOND_US
from fsm.vocabulary import ExitReason, PnlSource
from tests.unit.engine.handmade import RULES, START_US, Bench, fill, reported

D, S, P = Decimal, OrderState, PositionState


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An order that vanished while young, under the policy: taken for filled."""
    bench = Bench(tmp_path, rules=evolve(RULES, assume_fill_when_young=True))
    bench.place()
    bench.accept()
    bench.venue.orders["a"] = None
    look(bench)
    return bench


def look(bench: Bench) -> None:
    bench.tell(msg.PassDue("orders"))


def booked(bench: Bench) -> tuple[Decimal, Decimal, Decimal]:
    """Order, position and wallet say the same."""
    totals = bench.engine.world.ledger.totals
    return bench.order().filled_qty, bench.position().qty, totals["XRP"] - 1000


def anomalies(bench: Bench) -> list[str]:
    return [e.kind for e in bench.events(ev.AnomalyRecorded)]


def test_the_rest_is_booked_at_the_limit_as_inferred(bench: Bench) -> None:
    [filled] = bench.events(ev.OrderFilled)
    assert (D(10), D(1), PnlSource.INFERRED) == (filled.qty, filled.price, filled.provenance)
    assert filled.trade_id.startswith("inf-")
    assert S.FILLED is bench.order().state
    assert PnlSource.INFERRED is bench.position().pnl_source
    assert D(0) == bench.order().proven_qty
    assert ["fill_assumed"] == anomalies(bench)
    bench.proven()


def test_its_row_says_that_it_is_inferred(bench: Bench) -> None:
    bench.engine.writer.project_all()
    sql = "SELECT provenance FROM fills"
    assert [("inferred",)] == bench.engine.reader.conn.execute(sql).fetchall()


@pytest.mark.parametrize("fetched", [False, True])
def test_the_real_fill_takes_its_place(bench: Bench, fetched: bool) -> None:
    real = fill("t1", "10", price=D("0.9"), venue_us=bench.clock.now_us())
    if fetched:
        bench.venue.fills = [real]
        look(bench)
    bench.say(real)
    bench.say(real)

    assert (D(10), D(10), D(10)) == booked(bench)
    assert D(991) == bench.engine.world.ledger.totals["USD"]
    assert D("0.9") == bench.position().basis
    assert PnlSource.KERNEL_ESTIMATE is bench.position().pnl_source
    assert P.MONITORING is bench.position().state
    assert "position_reopened" not in anomalies(bench)
    bench.proven()


def test_a_real_part_leaves_the_rest_inferred_until_it_comes_too(bench: Bench) -> None:
    bench.fill("t1", "4")
    assert (D(10), D(10), D(10)) == booked(bench)
    assert D(4) == bench.order().proven_qty
    bench.fill("t2", "6")
    assert (D(10), D(10), D(10)) == booked(bench)
    assert D(10) == bench.order().proven_qty
    bench.proven()


def test_it_survives_a_restart_and_is_replaced_after_it(bench: Bench) -> None:
    bench.restart()
    look(bench)
    assert 1 == len(bench.events(ev.OrderFilled))
    bench.fill("t1", "10")

    assert (D(10), D(10), D(10)) == booked(bench)
    bench.proven()


def test_the_venue_that_says_canceled_voids_it(bench: Bench) -> None:
    bench.venue.orders["a"] = reported(state="canceled")
    look(bench)

    assert (D(0), D(0), D(0)) == booked(bench)
    assert S.CANCELED is bench.order().state
    assert P.CLOSED is bench.position().state
    assert "inferred_disproved" in anomalies(bench)
    bench.proven()


@pytest.mark.parametrize(
    "proof",
    [
        facts.OrderCanceled(client_order_id="a"),
        facts.OrderExpired(client_order_id="a"),
        facts.OrderRejected(client_order_id="a"),
    ],
)
def test_the_stream_that_proves_another_end_voids_it(bench: Bench, proof: facts.OrderFact) -> None:
    bench.say(proof, proof)

    assert (D(0), D(0), D(0)) == booked(bench)
    bench.proven()


def test_found_on_the_book_again_voids_it_and_takes_the_order_off(bench: Bench) -> None:
    bench.venue.open = {"a": reported()}
    bench.wait(1)
    look(bench)

    assert (D(0), D(0), D(0)) == booked(bench)
    assert 1 <= bench.cancels()
    assert "DEGRADED" == bench.mode
    bench.proven()


def test_an_inferred_exit_is_replaced_without_opening_the_position_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=evolve(RULES, assume_fill_when_young=True))
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    [exit_] = bench.exits()
    bench.accept(exit_.client_order_id)
    bench.venue.orders[exit_.client_order_id] = None
    look(bench)
    assert P.CLOSED is bench.position().state
    [inferred] = [e for e in bench.events(ev.OrderFilled) if e.provenance is PnlSource.INFERRED]
    assert inferred.price is None
    bench.fill("t2", "10", exit_.client_order_id, price=D(2))

    assert P.CLOSED is bench.position().state
    assert D(10) == bench.position().realized_pnl
    assert D(1010) == bench.engine.world.ledger.totals["USD"]
    assert "position_reopened" not in anomalies(bench)
    assert [exit_] == bench.exits()
    bench.proven()


def test_what_the_engine_cancelled_meanwhile_is_not_assumed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=evolve(RULES, assume_fill_when_young=True))
    bench.place()
    bench.accept()
    bench.tell(msg.CancelOrder("a", "test", by_engine=True), msg.AssumeFilled("a", "late"))

    assert [] == bench.events(ev.OrderFilled)


# --------------------------------------------------------------------- fills without a trade id


@pytest.fixture
def plain(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    return bench


def test_a_fill_without_a_name_is_the_one_that_a_query_names(plain: Bench) -> None:
    plain.fill(None, "4", venue_us=START_US + 5)
    plain.venue.fills = [fill("t1", "4", venue_us=START_US + 7)]
    look(plain)
    look(plain)

    assert (D(4), D(4), D(4)) == booked(plain)
    assert {"t1"} == {n for n, m in (plain.order().trades or {}).items() if m.status != "voided"}
    plain.proven()


def test_two_equal_fills_without_a_name_are_two(plain: Bench) -> None:
    plain.fill(None, "4", venue_us=START_US + 5)
    plain.fill(None, "4", venue_us=START_US + 6)
    plain.venue.fills = [fill(f"t{n}", "4", venue_us=START_US + 5 + n) for n in range(2)]
    look(plain)

    assert (D(8), D(8), D(8)) == booked(plain)
    plain.proven()


def test_one_without_a_name_stands_for_one_of_two_that_a_query_brings(plain: Bench) -> None:
    plain.fill(None, "4", venue_us=START_US + 5)
    plain.venue.fills = [fill(f"t{n}", "4", venue_us=START_US + 5 + n) for n in range(2)]
    look(plain)

    assert (D(8), D(8), D(8)) == booked(plain)


def test_a_named_fill_of_the_stream_is_another_one(plain: Bench) -> None:
    plain.fill(None, "4", venue_us=START_US + 5)
    plain.fill("t2", "4", venue_us=START_US + 6)

    assert (D(8), D(8), D(8)) == booked(plain)


@pytest.mark.parametrize("other", [{"price": D(2)}, {"venue_us": START_US + 60 * SECOND_US}])
def test_another_price_or_time_is_another_fill(plain: Bench, other: dict[str, object]) -> None:
    plain.fill(None, "4", venue_us=START_US + 5)
    plain.wait(61)
    plain.venue.fills = [fill("t1", "4", **({"venue_us": START_US + 5} | other))]
    look(plain)

    assert (D(8), D(8), D(8)) == booked(plain)


def test_the_stream_that_repeats_it_after_it_was_named_changes_nothing(plain: Bench) -> None:
    plain.fill(None, "10", venue_us=START_US + 5)
    plain.venue.fills = [fill("t1", "10", venue_us=START_US + 5)]
    look(plain)
    plain.restart()
    plain.fill(None, "10", venue_us=START_US + 5)

    assert (D(10), D(10), D(10)) == booked(plain)
    assert S.FILLED is plain.order().state
    plain.proven()
