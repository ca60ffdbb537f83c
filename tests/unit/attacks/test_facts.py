"""Facts that come twice, late or in another order, and what the books make of them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from actors import messages as msg
from fsm import events as ev
from fsm import facts
from fsm.facts import Found
from fsm.order import OrderState
from fsm.requests import QueryOrder
from fsm.timestamps import SECOND_US
from fsm.vocabulary import ExitReason, FillStatus, HeldOutcome
from tests.unit.engine.handmade import PAIR, RULES, START_US, Bench, fill, reported

D, S = Decimal, OrderState


def look(bench: Bench, scope: str = "orders") -> None:
    bench.tell(msg.PassDue(scope))


def booked(bench: Bench) -> tuple[Decimal, Decimal, Decimal]:
    totals = bench.engine.world.ledger.totals
    return bench.order().filled_qty, bench.position().qty, totals["XRP"] - 1000


@pytest.fixture
def plain(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported()}
    return bench


# ------------------------------------------------------------------ fills without a trade id


def test_a_query_was_faster_than_the_stream_that_names_no_trade(plain: Bench) -> None:
    plain.venue.fills = [fill("t1", "4", venue_us=START_US + 7)]
    look(plain)
    plain.fill(None, "4", venue_us=START_US + 7)

    assert (D(4), D(4), D(4)) == booked(plain)


def test_an_unnamed_fill_twice_with_other_zeros_is_one(plain: Bench) -> None:
    plain.fill(None, "4", venue_us=START_US + 7)
    plain.fill(None, "4.000", venue_us=START_US + 7)

    assert (D(4), D(4), D(4)) == booked(plain)


def test_an_unnamed_fill_without_a_time_and_a_venue_clock_ten_seconds_behind(plain: Bench) -> None:
    plain.wait(20)
    plain.fill(None, "4", venue_us=0)
    plain.venue.fills = [fill("t1", "4", venue_us=plain.clock.now_us() - 10 * SECOND_US)]
    look(plain)

    assert (D(4), D(4), D(4)) == booked(plain)


def test_an_unnamed_fill_without_a_time_twice_is_one(plain: Bench) -> None:
    plain.fill(None, "4", venue_us=0)
    plain.wait(1)
    plain.fill(None, "4", venue_us=0)

    assert (D(4), D(4), D(4)) == booked(plain)


def test_the_void_of_a_fill_that_was_booked_without_a_name(plain: Bench) -> None:
    plain.fill(None, "4", venue_us=START_US + 7)
    plain.say(facts.FillVoided(trade_id="t1", client_order_id="a"))
    look(plain)
    plain.wait(40)

    assert (D(0), D(0), D(0)) == booked(plain)


# ------------------------------------------------------------------------------ voids


def test_a_void_that_overtakes_its_fill(plain: Bench) -> None:
    plain.say(facts.FillVoided(trade_id="t1", client_order_id="a"))
    plain.fill("t1", "4")
    plain.wait(40)

    assert (D(0), D(0), D(0)) == booked(plain)


def test_a_query_tells_that_a_fill_was_voided(plain: Bench) -> None:
    plain.fill("t1", "4", status=FillStatus.PROVISIONAL)
    plain.venue.fills = [fill("t1", "4", status=FillStatus.VOIDED)]
    look(plain)

    assert (D(0), D(0), D(0)) == booked(plain)


def test_a_fill_that_is_voided_when_a_query_first_tells_it_is_no_fill(plain: Bench) -> None:
    plain.venue.fills = [fill("t1", "4", status=FillStatus.VOIDED)]
    look(plain)

    assert (D(0), D(0), D(0)) == booked(plain)


def test_a_void_that_was_lost_is_noticed_by_the_cumulative_quantity(plain: Bench) -> None:
    plain.fill("t1", "4", status=FillStatus.PROVISIONAL)
    plain.venue.open = {"a": reported(filled="0")}
    for _ in range(20):
        look(plain)
        plain.wait(5)

    said = [e.kind for e in plain.events(ev.AnomalyRecorded)]
    assert said or D(0) == plain.order().filled_qty


# ------------------------------------------------------------------------ identity by query


@pytest.mark.parametrize(("state", "filled"), [("filled", "10"), ("canceled", "4")])
def test_an_order_whose_answer_was_lost_and_whose_fills_name_only_the_venues_id(
    tmp_path: Path, state: str, filled: str
) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.wait(6)
    assert S.UNKNOWN is bench.order().state
    at_us = bench.clock.now_us()
    bench.venue.orders["a"] = reported(state=state, filled=filled)
    bench.venue.fills = [
        evolve(
            fill("t1", filled, venue_us=at_us),
            client_order_id=None,
            venue_order_id="V-a",
            instrument=PAIR,
        )
    ]
    for _ in range(30):
        look(bench)
        bench.wait(3)

    assert D(filled) == bench.order().filled_qty, bench.order().state


# -------------------------------------------------------------- answers that race the stream


@pytest.mark.parametrize("how", ["canceled", "filled"])
def test_an_answer_that_is_older_than_the_end_on_the_stream(tmp_path: Path, how: str) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.silent = True
    look(bench)
    asked = list(bench.venue.sent)[-2:]
    for query in asked:
        bench.say(bench.venue._answer(query))
    [question] = [r for r in bench.venue.sent if isinstance(r, QueryOrder)]
    answer = facts.OrderAnswer(
        request_id=question.request_id, client_order_id="a", result=Found(reported())
    )
    end = (
        facts.OrderCanceled(client_order_id="a", venue_order_id="V-a")
        if how == "canceled"
        else fill("t1", "10")
    )
    bench.venue.silent = False
    bench.say(end, answer)

    assert [] == [e.kind for e in bench.events(ev.AnomalyRecorded)]
    assert "ACTIVE" == bench.mode


# -------------------------------------------------------------------------------- HELD


def test_found_open_after_it_was_held_does_not_forget_that_the_engine_cancelled_it(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.fill("t1", "4")
    bench.venue.open = {"a": reported(filled="4")}
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    assert S.CANCELLED_BY_ENGINE is bench.order().state
    bench.tell(msg.HoldOrder("a", "inconclusive"))
    assert S.HELD_FOR_REVIEW is bench.order().state
    before = bench.cancels()
    bench.tell(msg.FoundOpen("a", reported(filled="4")))

    assert S.CANCELLED_BY_ENGINE is bench.order().state or bench.cancels() > before


def test_a_person_names_the_trade_that_was_booked_without_its_name(plain: Bench) -> None:
    plain.fill(None, "4", venue_us=START_US + 7)
    plain.tell(msg.CancelOrder("a", "test"))
    plain.tell(msg.HoldOrder("a", "inconclusive"))
    plain.venue.open = {}
    plain.do(
        msg.ResolveHeld(
            client_order_id="a",
            outcome=HeldOutcome.CANCELED,
            evidence="the venue's page",
            who="me",
            trades=(fill("t1", "4", venue_us=START_US + 7),),
        )
    )

    assert (D(4), D(4), D(4)) == booked(plain)


def test_a_person_names_a_trade_that_is_another_order_s(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place("b")
    bench.accept("b")
    bench.fill("t1", "10", "b")
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported()}
    bench.tell(msg.CancelOrder("a", "test"))
    bench.tell(msg.HoldOrder("a", "inconclusive"))
    bench.do(
        msg.ResolveHeld(
            client_order_id="a",
            outcome=HeldOutcome.FILLED,
            evidence="the venue's page",
            who="me",
            trades=(fill("t1", "10"),),
        )
    )

    assert D(1010) == bench.engine.world.ledger.totals["XRP"]


def test_a_held_order_does_not_make_the_venue_be_asked_every_second_for_ever(
    plain: Bench,
) -> None:
    plain.tell(msg.CancelOrder("a", "test"))
    plain.tell(msg.HoldOrder("a", "inconclusive"))
    plain.venue.open = {}
    plain.venue.orders["a"] = None
    sent = len(plain.venue.sent)
    plain.wait(600)

    assert S.HELD_FOR_REVIEW is plain.order().state
    assert len(plain.venue.sent) - sent < 600


def test_rules_are_not_touched() -> None:
    assert RULES.max_in_flight_us == 2 * SECOND_US
