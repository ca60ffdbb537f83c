"""Fills told with and without a name, and voids that come early, late or never (M06, X06, X07)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from actors import messages as msg
from fsm import events as ev
from fsm import facts
from fsm.order import OrderState
from fsm.timestamps import SECOND_US
from fsm.vocabulary import FillStatus, HeldOutcome
from tests.unit.engine.handmade import PAIR, RULES, START_US, Bench, fill, reported

D, S = Decimal, OrderState


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported()}
    return bench


def look(bench: Bench, times: int = 1) -> None:
    for _ in range(times):
        bench.tell(msg.PassDue("orders"))


def booked(bench: Bench) -> tuple[Decimal, Decimal, Decimal]:
    totals = bench.engine.world.ledger.totals
    return bench.order().filled_qty, bench.position().qty, totals["XRP"] - 1000


def anomalies(bench: Bench) -> list[str]:
    return [e.kind for e in bench.events(ev.AnomalyRecorded)]


def void(trade_id: str) -> facts.FillVoided:
    return facts.FillVoided(trade_id=trade_id, client_order_id="a")


@pytest.mark.parametrize("restart", [False, True])
def test_two_equal_fills_are_two_whoever_tells_them_first(bench: Bench, restart: bool) -> None:
    """Each name stands for one fill without a name, and each of these for one name."""
    bench.venue.fills = [fill("t1", "4", venue_us=START_US + 7)]
    look(bench)
    bench.fill(None, "4", venue_us=START_US + 7)
    if restart:
        bench.restart()
    bench.fill(None, "4", venue_us=START_US + 7)
    assert (D(4), D(4), D(4)) == booked(bench)
    bench.fill(None, "4", venue_us=START_US + SECOND_US)
    assert (D(8), D(8), D(8)) == booked(bench)
    bench.venue.fills.append(fill("t2", "4", venue_us=START_US + SECOND_US))
    look(bench, 2)

    assert (D(8), D(8), D(8)) == booked(bench)
    assert {"t1", "t2"} == {
        name for name, m in (bench.order().trades or {}).items() if m.status != "voided"
    }
    bench.proven()


def test_two_that_agree_in_everything_are_told_apart_by_the_venue_s_count(bench: Bench) -> None:
    bench.fill(None, "4", venue_us=START_US + 7)
    bench.fill(None, "4", venue_us=START_US + 7)
    assert D(4) == bench.order().filled_qty
    bench.wait(120)
    bench.venue.open = {"a": reported(filled="8")}
    bench.venue.fills = [fill(f"t{n}", "4", venue_us=START_US + 7) for n in range(2)]
    bench.wait(10)

    assert (D(8), D(8), D(8)) == booked(bench)
    bench.proven()


@pytest.mark.parametrize("restart", [False, True])
def test_what_took_the_place_of_a_fill_without_a_name_takes_no_other(
    bench: Bench, restart: bool
) -> None:
    bench.fill(None, "4", venue_us=START_US + 7)
    bench.venue.fills = [fill("t1", "4", venue_us=START_US + 7)]
    look(bench)
    if restart:
        bench.restart()
    bench.fill(None, "4", venue_us=START_US + SECOND_US)

    assert (D(8), D(8), D(8)) == booked(bench)
    bench.proven()


def test_a_query_without_a_price_does_not_take_the_price_away(bench: Bench) -> None:
    bench.fill(None, "4", venue_us=START_US + 7)
    bench.venue.fills = [fill("t1", "4", price=None, venue_us=START_US + 7)]
    look(bench)

    assert (D(4), D(4), D(4)) == booked(bench)
    assert D(1) == bench.position().basis


@pytest.mark.parametrize("how", ["stream", "page"])
def test_an_early_void_and_settlement_survive_a_restart(bench: Bench, how: str) -> None:
    if how == "stream":
        bench.say(void("t1"), void("t1"))
    else:
        bench.venue.fills = [fill("t1", "4", status=FillStatus.VOIDED)]
        look(bench)
    bench.say(facts.FillSettled(trade_id="t2", client_order_id="a", realized_pnl=D(1)))
    bench.restart()
    bench.fill("t1", "4")
    bench.fill("t2", "3")
    bench.restart()
    bench.say(facts.FillSettled(trade_id="t2", client_order_id="a", realized_pnl=D(1)))

    assert (D(3), D(3), D(3)) == booked(bench)
    [settled] = bench.events(ev.OrderFillSettled)
    assert ("t2", D(1)) == (settled.trade_id, settled.realized_pnl)
    assert () == tuple(told for told in bench.order().foretold if not told.voided)
    bench.proven()


def test_a_void_that_may_mean_one_of_two_reverses_none_and_degrades(bench: Bench) -> None:
    bench.fill(None, "4", venue_us=START_US + 7)
    bench.fill(None, "3", venue_us=START_US + 8)
    bench.say(void("t1"))
    assert D(7) == bench.order().filled_qty
    assert "DEGRADED" == bench.mode
    bench.tell(msg.PassDue("books"))
    assert "ACTIVE" == bench.mode
    bench.venue.fills = [fill("t1", "3", venue_us=START_US + 8)]
    look(bench)

    assert (D(4), D(4), D(4)) == booked(bench)
    bench.proven()


def test_a_void_of_the_only_fill_without_a_name_is_also_of_its_name(bench: Bench) -> None:
    bench.fill(None, "4", venue_us=START_US + 7)
    bench.say(void("t1"))
    bench.restart()
    bench.venue.fills = [fill("t1", "4", venue_us=START_US + 7)]
    look(bench)

    assert (D(0), D(0), D(0)) == booked(bench)
    bench.proven()


def test_more_early_voids_than_are_kept_degrade(bench: Bench) -> None:
    for number in range(65):
        bench.say(void(f"v{number}"))

    assert 64 == len(bench.order().foretold)
    assert "DEGRADED" == bench.mode


# --------------------------------------------------------------- less filled than is booked


def test_a_count_that_lags_behind_the_stream_is_no_contradiction(bench: Bench) -> None:
    bench.fill("t1", "4")
    look(bench, 3)
    bench.venue.open = {"a": reported(filled="4")}
    bench.wait(60)

    assert [] == anomalies(bench)
    assert "ACTIVE" == bench.mode


def test_a_lost_void_that_the_fills_tell_reverses_the_fill(bench: Bench) -> None:
    bench.fill("t1", "4", status=FillStatus.PROVISIONAL)
    bench.wait(120)
    bench.venue.fills = [fill("t1", "4", status=FillStatus.VOIDED)]
    bench.wait(30)

    assert (D(0), D(0), D(0)) == booked(bench)


def test_a_lost_void_that_nobody_tells_is_said_once_and_reverses_nothing(bench: Bench) -> None:
    bench.fill("t1", "4", status=FillStatus.PROVISIONAL)
    bench.wait(60)
    assert ["booked_beyond_venue"] == anomalies(bench)
    assert "DEGRADED" == bench.mode
    assert D(4) == bench.order().filled_qty
    bench.say(void("t1"))
    bench.wait(30)

    assert "booked_beyond_venue" not in bench.engine.world.sources


def test_an_end_with_less_than_is_booked_is_for_a_person(bench: Bench) -> None:
    bench.fill("t1", "4", status=FillStatus.PROVISIONAL)
    bench.venue.open = {}
    bench.venue.orders["a"] = reported(state="canceled")
    look(bench)
    assert bench.order().is_live
    bench.wait(30)

    assert S.HELD_FOR_REVIEW is bench.order().state
    assert D(4) == bench.order().filled_qty
    bench.say(void("t1"))
    bench.wait(5)
    assert S.CANCELED is bench.order().state
    assert (D(0), D(0), D(0)) == booked(bench)
    bench.proven()


# -------------------------------------------------------------------- cancels, persons, policy


@pytest.mark.parametrize("by_engine", [False, True])
def test_a_cancel_outlives_the_hold_and_a_restart(bench: Bench, by_engine: bool) -> None:
    bench.tell(msg.CancelOrder("a", "test", by_engine=by_engine))
    bench.tell(msg.HoldOrder("a", "inconclusive"))
    bench.restart()
    before = bench.cancels()
    look(bench)

    assert (S.CANCELLED_BY_ENGINE if by_engine else S.CANCEL_PENDING) is bench.order().state
    assert bench.cancels() > before
    bench.proven()


@pytest.mark.parametrize("qty", ["10", "6"])
def test_a_person_names_all_trades_of_an_order_that_has_some_without_a_name(
    bench: Bench, qty: str
) -> None:
    bench.fill(None, "4", venue_us=START_US + 7)
    bench.tell(msg.CancelOrder("a", "test"))
    bench.tell(msg.HoldOrder("a", "inconclusive"))
    bench.venue.open = {}
    rest = fill("t2", qty, venue_us=START_US + 9)
    bench.do(
        msg.ResolveHeld(
            client_order_id="a",
            outcome=HeldOutcome.FILLED,
            evidence="the venue's page",
            who="me",
            trades=(fill("t1", "4", venue_us=START_US + 7), rest),
        )
    )

    accepted = qty == "6"
    assert accepted is bench.answers[-1]["accepted"]
    assert D(10 if accepted else 4) == bench.order().filled_qty


def test_what_was_inferred_long_ago_is_said_once_and_still_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=evolve(RULES, assume_fill_when_young=True))
    bench.place()
    bench.accept()
    bench.venue.orders["a"] = None
    look(bench)
    bench.wait(90_000)
    assert ["fill_assumed", "inferred_unproven"] == anomalies(bench)
    assert "inferred_unproven" in bench.engine.world.sources
    bench.venue.fills = [fill("t1", "10", venue_us=START_US + 1)]
    bench.venue.orders["a"] = reported(state="filled", filled="10")
    bench.wait(130)

    assert D(10) == bench.order().proven_qty
    assert "ACTIVE" == bench.mode
    bench.proven()


def test_a_fill_that_is_handed_over_to_our_order_is_still_one_that_a_query_named(
    tmp_path: Path,
) -> None:
    """Booked on an order that was taken for somebody else's, then told again without a name."""
    bench = Bench(tmp_path)
    bench.venue.open = {"a": evolve(reported(filled="4"), client_order_id=None)}
    named = evolve(fill("t1", "4", venue_us=START_US + 7), client_order_id=None)
    bench.venue.fills = [evolve(named, venue_order_id="V-a", instrument=PAIR)]
    look(bench, 2)
    bench.place()
    bench.accept()
    assert (D(4), D(4), D(4)) == booked(bench)
    bench.fill(None, "4", venue_us=START_US + 7)

    assert (D(4), D(4), D(4)) == booked(bench)
    bench.proven()
