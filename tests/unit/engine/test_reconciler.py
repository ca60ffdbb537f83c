"""The reconciler's decision table, its races, its bounds: every pass ends, nothing is assumed."""

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
from fsm.requests import QueryFills, QueryOpenOrders
from fsm.timestamps import SECOND_US
from fsm.vocabulary import ExitReason
from tests.unit.engine.handmade import PAIR, RULES, START_US, Bench, fill, reported

D = Decimal
S = OrderState


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def look(bench: Bench, scope: str = "orders") -> None:
    bench.tell(msg.PassDue(scope))


def working(bench: Bench, order_id: str = "a") -> None:
    bench.place(order_id)
    bench.accept(order_id)


# ---------------------------------------------------------------------------- the decision table


def test_an_engine_cancelled_order_that_is_gone_is_canceled_and_never_assumed_filled(
    bench: Bench,
) -> None:
    working(bench)
    bench.tell(msg.Degrade("test"))
    bench.venue.orders["a"] = None
    look(bench)

    assert S.CANCELED is bench.order().state
    assert [] == bench.events(ev.OrderFilled)
    assert 1 == bench.engine.world.log_counts["RECONCILER_SKIP_ENGINE_CANCEL"]
    assert [] == bench.events(ev.AnomalyRecorded)


def test_an_engine_cancelled_order_that_filled_first_is_booked(bench: Bench) -> None:
    working(bench)
    bench.tell(msg.Degrade("test"))
    bench.venue.fills = [fill("t1", "10")]
    bench.venue.orders["a"] = reported(state="filled", filled="10")
    look(bench)

    assert S.FILLED is bench.order().state
    assert D(10) == bench.position().qty
    bench.proven()


def test_an_engine_cancelled_order_still_on_the_book_is_cancelled_again(bench: Bench) -> None:
    working(bench)
    bench.tell(msg.Degrade("test"))
    bench.venue.open = {"a": reported()}
    before = bench.cancels()
    look(bench)

    assert before + 1 == bench.cancels()
    assert S.CANCELLED_BY_ENGINE is bench.order().state


def test_a_failed_query_changes_no_order_whatever_its_state(bench: Bench) -> None:
    for name in "abc":
        working(bench, name)
    bench.do(msg.CancelOrder("b", "test"))
    bench.tell(msg.CancelOrder("c", "test", by_engine=True))
    states = {name: bench.order(name).state for name in "abc"}
    bench.venue.open = bench.venue.fills = None
    for _ in range(5):
        look(bench)
        bench.wait(10)

    assert states == {name: bench.order(name).state for name in "abc"}


def test_a_working_order_that_disappeared_is_unknown_then_held_when_it_is_old(
    bench: Bench,
) -> None:
    working(bench)
    bench.venue.orders["a"] = None
    look(bench)
    assert S.UNKNOWN is bench.order().state
    bench.wait(310)

    assert S.HELD_FOR_REVIEW is bench.order().state
    assert "DEGRADED" == bench.mode
    bench.proven()


def test_a_cumulative_quantity_asks_for_the_fills_and_books_nothing_itself(bench: Bench) -> None:
    working(bench)
    bench.venue.open = {"a": reported(filled="4")}
    look(bench)
    assert D(0) == bench.order().filled_qty

    bench.venue.fills = [fill("t1", "4")]
    look(bench)
    assert D(4) == bench.order().filled_qty


def test_the_message_says_canceled_and_the_fills_say_filled_the_fills_win(bench: Bench) -> None:
    working(bench)
    bench.venue.orders["a"] = reported(state="canceled", filled="10")
    bench.venue.fills = [fill("t1", "10")]
    look(bench)

    assert S.FILLED is bench.order().state


def test_rejected_after_it_was_accepted_ends_and_does_not_ask_for_ever(bench: Bench) -> None:
    """The rejection was no edge of a working order, a look-up was due, and found it again."""
    working(bench)
    bench.venue.orders["a"] = reported(state="rejected")
    bench.say(facts.OrderRejected(client_order_id="a", reason="margin"))

    assert S.EXPIRED is bench.order().state
    assert 5 > bench.engine.books.reconciler.passes
    bench.proven()


def test_an_unknown_order_at_the_venue_is_reported_once_and_never_traded(bench: Bench) -> None:
    bench.venue.open = {"x": reported("x")}
    look(bench)
    look(bench)

    assert ["external_order"] == [e.kind for e in bench.events(ev.AnomalyRecorded)]
    assert [] == bench.submits()


# -------------------------------------------------------------------------------------- races


def answer_open(bench: Bench, *orders: facts.VenueOrder) -> None:
    query = [r for r in bench.venue.sent if isinstance(r, QueryOpenOrders)][-1]
    bench.say(facts.OpenOrdersAnswer(request_id=query.request_id, result=Found(orders)))


def answer_fills(bench: Bench, *fills: facts.OrderFill) -> None:
    query = [r for r in bench.venue.sent if isinstance(r, QueryFills)][-1]
    page = facts.FillsPage(fills=fills)
    bench.say(facts.FillsAnswer(request_id=query.request_id, instrument=PAIR, result=Found(page)))


def test_an_order_that_ended_while_the_question_was_out_is_not_called_dead_but_live(
    bench: Bench,
) -> None:
    working(bench)
    bench.venue.silent = True
    look(bench)
    bench.fill("t1", "10")
    answer_open(bench, reported())
    answer_fills(bench)

    assert "ACTIVE" == bench.mode
    assert [] == bench.events(ev.AnomalyRecorded)


def test_an_order_that_began_and_ended_while_the_question_was_out_is_no_anomaly(
    bench: Bench,
) -> None:
    bench.venue.silent = True
    look(bench)
    bench.wait(0.1)
    working(bench)
    bench.fill("t1", "10")
    answer_open(bench, reported())
    answer_fills(bench)

    assert "ACTIVE" == bench.mode


def test_an_order_that_had_ended_and_is_on_the_book_is_cancelled_there(bench: Bench) -> None:
    working(bench)
    bench.say(facts.OrderCanceled(client_order_id="a"))
    bench.wait(1)
    bench.venue.open = {"a": reported()}
    look(bench)

    assert 1 == bench.cancels()
    assert "DEGRADED" == bench.mode
    assert S.CANCELED is bench.order().state


def test_an_order_placed_after_the_question_left_is_not_missing_in_the_answer(
    bench: Bench,
) -> None:
    bench.venue.silent = True
    look(bench)
    working(bench)
    answer_open(bench)
    answer_fills(bench)

    assert S.WORKING is bench.order().state


def test_a_difference_counts_only_when_it_is_there_again_two_seconds_later(bench: Bench) -> None:
    bench.venue.balances = lambda: {"USD": D(900), "XRP": D(1000)}
    look(bench, "books")
    look(bench, "books")
    look(bench, "books")
    assert "ACTIVE" == bench.mode
    bench.wait(2.5)

    assert "DEGRADED" == bench.mode
    bench.venue.balances = lambda: {"USD": D(1000), "XRP": D(1000)}
    look(bench, "books")
    assert "ACTIVE" == bench.mode


def test_a_difference_that_a_fill_explains_meanwhile_is_none(bench: Bench) -> None:
    working(bench)
    bench.venue.balances = lambda: {"USD": D(990), "XRP": D(1010)}
    look(bench, "books")
    bench.fill("t1", "10")
    bench.wait(70)

    assert "ACTIVE" == bench.mode


def test_books_are_not_judged_while_the_fills_cannot_be_asked_for(bench: Bench) -> None:
    working(bench)
    bench.venue.fills = None
    bench.venue.balances = lambda: {"USD": D(990), "XRP": D(1010)}
    for _ in range(4):
        look(bench, "books")
        bench.wait(5)

    assert "ACTIVE" == bench.mode


def test_before_the_gate_a_books_pass_is_a_pass_of_the_gate(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.kill()
    bench.venue.open = None
    bench.start()
    bench.venue.balances = lambda: {"USD": D(1), "XRP": D(1000)}
    bench.venue.open = {}
    bench.say(facts.BalanceReport(asset="USD", total=D(1)))
    bench.wait(10)

    assert "HALTED" == bench.mode


# ------------------------------------------------------------------------------------- bounds


def test_a_pass_whose_queries_get_no_answer_ends_and_the_next_one_comes(bench: Bench) -> None:
    bench.venue.silent = True
    look(bench)
    bench.wait(60)
    passes = bench.engine.books.reconciler.passes
    assert 2 < passes < 12
    bench.venue.silent = False
    bench.wait(60)

    assert passes < bench.engine.books.reconciler.passes
    assert bench.engine.books.reconciler.link.failures == 0


def test_fills_come_page_by_page_and_the_watermark_moves_with_the_last(bench: Bench) -> None:
    working(bench)
    bench.venue.page = 3
    bench.venue.fills = [fill(f"t{n}", "1", venue_us=START_US + n) for n in range(10)]
    look(bench)

    assert D(10) == bench.order().filled_qty
    assert [START_US + 9] == [e.venue_us for e in bench.events(ev.WatermarkMoved)]


@pytest.mark.parametrize("page", [1, 2])
def test_more_fills_in_one_microsecond_than_a_page_holds_never_loop_for_ever(
    bench: Bench, page: int
) -> None:
    working(bench)
    bench.venue.page = page
    bench.venue.fills = [fill(f"t{n}", "1") for n in range(10)]
    look(bench)

    assert [] == bench.events(ev.WatermarkMoved)
    assert 20 > sum(isinstance(r, QueryFills) for r in bench.venue.sent)
    bench.venue.page = None
    look(bench)
    assert D(10) == bench.order().filled_qty


def test_a_late_fill_behind_the_watermark_is_found_within_the_overlap(bench: Bench) -> None:
    working(bench)
    bench.venue.fills = [fill("t2", "1", venue_us=START_US + 30 * SECOND_US)]
    bench.wait(31)
    look(bench)
    bench.venue.fills.insert(0, fill("t1", "1", venue_us=START_US + SECOND_US))
    look(bench)

    assert D(2) == bench.order().filled_qty


def test_two_fills_in_the_microsecond_of_the_watermark_are_both_booked(bench: Bench) -> None:
    working(bench)
    bench.venue.fills = [fill("t1", "1")]
    look(bench)
    bench.venue.fills.append(fill("t2", "1"))
    look(bench)

    assert D(2) == bench.order().filled_qty


def test_a_storm_of_reports_runs_one_pass_after_the_other(bench: Bench) -> None:
    bench.venue.silent = True
    for _ in range(500):
        bench.engine.inbox.facts.offer(facts.BalanceReport(asset="USD", total=D(1000)))
    bench.simulation.settle()
    assert 20 > len(bench.venue.sent)
    bench.venue.silent = False
    bench.wait(10)

    assert 12 > bench.engine.books.reconciler.passes


def test_reconciliation_goes_on_while_halted_and_after_the_resume(bench: Bench) -> None:
    bench.tell(msg.Halt("test"))
    bench.wait(20)
    passes = bench.engine.books.reconciler.passes
    assert passes > 2
    bench.do(msg.Resume("me", "fixed"))
    bench.wait(2)

    assert "ACTIVE" == bench.mode
    bench.wait(20)
    assert bench.engine.books.reconciler.passes > passes + 2


def test_an_exit_in_doubt_is_asked_for_every_second(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=evolve(RULES, exit_reprice_after_us=10**12))
    working(bench)
    bench.fill("t1", "10")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    bench.wait(5.5)
    before = bench.engine.books.reconciler.passes
    bench.wait(10)

    assert 8 <= bench.engine.books.reconciler.passes - before <= 12
