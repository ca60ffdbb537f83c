"""Doubts that a second look found."""

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
from fsm.position import PositionState
from fsm.requests import Cancel, QueryOpenOrders, QueryOrder
from fsm.timestamps import SECOND_US
from fsm.vocabulary import ExitReason
from tests.unit.engine.handmade import PAIR, RULES, START_US, Bench, fill, reported

D, S, P = Decimal, OrderState, PositionState


def look(bench: Bench, scope: str = "orders") -> None:
    bench.tell(msg.PassDue(scope))


def test_a_question_about_an_exit_is_not_dropped_by_a_suspicion(tmp_path: Path) -> None:
    """A lookup that came during a pass of the books is carried out when that pass is over."""
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported()}
    bench.venue.balances = lambda: {"USD": D(1), "XRP": D(1)}
    bench.venue.silent = True
    look(bench, "books")
    bench.tell(msg.LookUp("a", "test"))
    sent = len(bench.venue.sent)
    bench.venue.silent = False
    answered = 0
    while answered < len(bench.venue.sent):
        query = bench.venue.sent[answered]
        answered += 1
        if not hasattr(query, "request_id") or isinstance(query, Cancel):
            continue
        bench.say(bench.venue._answer(query))
    bench.wait(0.5)
    later = [r for r in bench.venue.sent[sent:] if isinstance(r, QueryOpenOrders)]
    assert later


def test_a_trade_without_a_time_does_not_move_the_watermark_wrong(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported(filled="4")}
    bench.venue.fills = [fill("t1", "4", venue_us=0)]
    for _ in range(4):
        look(bench)
    assert D(4) == bench.order().filled_qty


def test_a_provisional_fill_that_only_a_query_settles_is_settled_once(tmp_path: Path) -> None:
    from fsm.vocabulary import FillStatus

    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.fill("t1", "10", status=FillStatus.PROVISIONAL)
    bench.wait(2)
    bench.restart()
    bench.venue.fills = [fill("t1", "10", venue_us=bench.clock.now_us())]
    look(bench)
    look(bench)
    bench.restart()
    look(bench)
    assert 1 == len(bench.events(ev.OrderFillSettled))
    assert D(10) == bench.order().filled_qty
    bench.proven()


@pytest.mark.parametrize("restart", [False, True])
def test_a_void_of_the_part_that_replaced_an_inference(tmp_path: Path, restart: bool) -> None:
    bench = Bench(tmp_path, rules=evolve(RULES, assume_fill_when_young=True))
    bench.place()
    bench.accept()
    bench.venue.orders["a"] = None
    look(bench)
    bench.fill("t1", "4")
    if restart:
        bench.restart()
    bench.say(facts.FillVoided(trade_id="t1", client_order_id="a"))
    bench.fill("t2", "10")
    assert D(10) == bench.order().filled_qty
    assert D(10) == bench.position().qty
    bench.proven()


def test_an_exit_that_the_venue_rejected_while_it_was_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.quote("1", "1.01")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    [exit_] = bench.exits()
    name = exit_.client_order_id
    bench.venue.silent = True
    bench.say(facts.OutcomeUnknown(client_order_id=name, reason="timeout"))
    for query in list(bench.venue.sent):
        if not hasattr(query, "qty") and not isinstance(query, QueryOrder):
            bench.say(bench.venue._answer(query))
    [question] = [r for r in bench.venue.sent if isinstance(r, QueryOrder)]
    bench.say(facts.OrderRejected(client_order_id=name, reason="no"))
    again = [e for e in bench.exits() if e.client_order_id != name]
    bench.say(
        facts.OrderAnswer(
            request_id=question.request_id,
            client_order_id=name,
            result=Found(reported(name, state="rejected")),
        )
    )
    assert [again[-1]] == [e for e in bench.exits() if e.client_order_id != name]
    assert START_US
    assert PAIR
    assert SECOND_US
    assert P.EXIT_PENDING is bench.position().state


def test_a_clean_restart_asks_for_what_is_inferred(tmp_path: Path) -> None:
    """An outage that is longer than the threshold, right after an inference."""
    bench = Bench(tmp_path, rules=evolve(RULES, assume_fill_when_young=True))
    bench.place()
    bench.accept()
    bench.venue.orders["a"] = None
    look(bench)
    assert S.FILLED is bench.order().state
    bench.kill()
    bench.clock.move_to(bench.clock.now_us() + 301 * SECOND_US)
    bench.venue.orders["a"] = reported(state="canceled")
    bench.start()
    bench.wait(30)
    assert D(0) == bench.order().filled_qty


def test_what_a_person_cancelled_is_not_assumed_filled_after_it_was_held(tmp_path: Path) -> None:
    """Never for a requested cancel, also not by the way over HELD_FOR_REVIEW."""
    bench = Bench(tmp_path, rules=evolve(RULES, assume_fill_when_young=True))
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported()}
    bench.wait(3)
    bench.do(msg.CancelOrder("a", "me"))
    bench.venue.open = {}
    bench.venue.orders["a"] = None
    look(bench)
    bench.wait(2)
    assert S.HELD_FOR_REVIEW is bench.order().state
    bench.venue.open = {"a": reported()}  # a list that lags behind
    look(bench)
    bench.venue.open = {}
    look(bench)
    bench.wait(3)

    assert [] == bench.events(ev.OrderFilled)


def test_the_venue_s_figure_for_an_exit_that_was_booked_without_a_name(tmp_path: Path) -> None:
    """Its price was unknown; the settlement, which names the trade, repairs the profit (P01)."""
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.quote("1", "1.01")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    [exit_] = bench.exits()
    name = exit_.client_order_id
    bench.accept(name)
    at_us = bench.clock.now_us()
    bench.fill(None, "10", name, price=None, venue_us=at_us)
    bench.say(facts.FillSettled(trade_id="x1", client_order_id=name, realized_pnl=D(5)))
    bench.venue.fills = [fill("x1", "10", name, price=None, venue_us=at_us)]
    look(bench)
    look(bench)

    assert D(5) == bench.position().realized_pnl


def test_a_settlement_that_overtakes_its_fill(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.quote("1", "1.01")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    [exit_] = bench.exits()
    name = exit_.client_order_id
    bench.accept(name)
    bench.say(facts.FillSettled(trade_id="x1", client_order_id=name, realized_pnl=D(5)))
    bench.fill("x1", "10", name, price=None)
    bench.wait(40)

    assert D(5) == bench.position().realized_pnl


def test_the_average_cost_after_a_voided_sale_of_more_than_was_bought(tmp_path: Path) -> None:
    from fsm.vocabulary import Side

    bench = Bench(tmp_path)
    bench.place(qty=D(5))
    bench.accept()
    bench.fill("t1", "5")
    bench.place("b", side=Side.SELL, qty=D(8))
    bench.accept("b")
    bench.fill("t2", "8", "b")
    bench.say(facts.FillVoided(trade_id="t2", client_order_id="b"))
    assert (D(5), D(1)) == bench.engine.world.ledger.inventory.held["XRP"]


def test_the_stream_that_is_sent_again_with_names_is_the_same(tmp_path: Path) -> None:
    """A venue's snapshot of executions after a reconnect names what the stream did not."""
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported(filled="4")}
    bench.fill(None, "4", venue_us=START_US + 5)
    bench.say(facts.VenueDisconnected(), facts.VenueConnected())
    bench.fill("t1", "4", venue_us=START_US + 5)
    for _ in range(3):
        look(bench)

    assert D(4) == bench.order().filled_qty


def test_the_gate_on_a_venue_that_lists_more_equal_times_than_its_page(tmp_path: Path) -> None:
    """A venue may cap its pages whatever is asked: somebody has to hear why nothing trades."""
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported(filled="7")}
    bench.venue.page = 4
    bench.venue.fills = [fill(f"t{n}", "1", venue_us=START_US + 1) for n in range(7)]
    bench.restart()
    bench.wait(120)

    assert bench.mode != "RECONCILING" or bench.engine.release.alerts
