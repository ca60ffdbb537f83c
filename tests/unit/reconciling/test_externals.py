"""Orders that are not ours: adopted once, reported, followed to their end, never swept."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from actors import messages as msg
from actors.reconciling.externals import external_name
from actors.shutdown import Shutdown
from fsm import events as ev
from fsm import facts
from fsm.mode import ControlLevel
from fsm.order import OrderState
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole
from tests.unit.engine.handmade import PAIR, RULES, START_US, Bench, fill, reported

D, S = Decimal, OrderState
NAME = external_name("hand", "V-x")


def look(bench: Bench) -> None:
    bench.tell(msg.PassDue("orders"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.venue.open = {"x": evolve(reported("x"), price=D("0.5"))}
    look(bench)
    return bench


def alerts(bench: Bench) -> int:
    return bench.engine.release.alert_counts.get("EXTERNAL_ORDER", 0)


def test_it_is_adopted_reported_once_and_holds_its_funds_back(bench: Bench) -> None:
    look(bench)
    order = bench.order(NAME)
    assert (OrderRole.EXTERNAL, S.WORKING, "V-x") == (order.role, order.state, order.venue_order_id)
    assert ["external_order"] == [e.kind for e in bench.events(ev.AnomalyRecorded)]
    assert 1 == alerts(bench)
    assert D(5) == bench.engine.world.ledger.balance("USD").reserved
    bench.engine.writer.project_all()
    row = bench.engine.document(everything=True)["orders"][NAME]
    assert ("external", "WORKING") == (row["role"], row["state"])
    assert [] == bench.submits()
    bench.proven()


def test_no_restart_adopts_it_a_second_time(bench: Bench) -> None:
    bench.restart()
    look(bench)

    assert S.WORKING is bench.order(NAME).state
    assert 1 == len(bench.events(ev.OrderIntended))
    bench.proven()


def test_its_fills_move_balances_and_no_position(bench: Bench) -> None:
    at_us = bench.clock.now_us()
    bench.say(
        evolve(
            fill("t1", "10", price=D("0.5"), venue_us=at_us),
            client_order_id="x",
            venue_order_id="V-x",
        )
    )

    assert S.FILLED is bench.order(NAME).state
    assert {"USD": D(995), "XRP": D(1010)} == bench.engine.world.ledger.totals
    assert {} == bench.engine.world.positions
    bench.proven()


def test_a_fill_that_came_before_its_adoption_is_booked_with_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    early = fill("t1", "4", price=D("0.5"), venue_us=START_US)
    bench.say(evolve(early, client_order_id=None, venue_order_id="V-x", instrument=PAIR))
    assert D(1000) == bench.engine.world.ledger.totals["XRP"]
    bench.venue.open = {"x": evolve(reported("x", filled="4"), price=D("0.5"))}
    look(bench)

    assert D(1004) == bench.engine.world.ledger.totals["XRP"]
    assert D(4) == bench.order(NAME).filled_qty


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, S.CANCELED),
        (reported("x", state="canceled"), S.CANCELED),
        (reported("x", state="expired"), S.EXPIRED),
        (reported("x", state="filled", filled="10"), S.CANCELED),
    ],
)
def test_its_end_is_followed(
    bench: Bench, answer: facts.VenueOrder | None, expected: OrderState
) -> None:
    bench.venue.open = {}
    bench.venue.orders[NAME] = answer
    look(bench)
    if answer is None:  # a list may miss it once
        assert S.WORKING is bench.order(NAME).state
        look(bench)

    assert expected is bench.order(NAME).state
    assert "ACTIVE" == bench.mode
    assert D(0) == bench.engine.world.ledger.balance("USD").reserved
    bench.proven()


def test_a_failed_query_does_not_end_it(bench: Bench) -> None:
    bench.venue.open = {}
    look(bench)
    assert S.WORKING is bench.order(NAME).state


@pytest.mark.parametrize(
    "command",
    [
        msg.Degrade("test"),
        msg.SetControl(ControlLevel.EMERGENCY, "me", "test"),
        msg.Halt("test"),
        msg.StopSession("test"),
    ],
)
def test_nothing_of_ours_sweeps_it(bench: Bench, command: object) -> None:
    bench.do(command)
    look(bench)
    bench.wait(10)

    assert 0 == bench.cancels(NAME)
    assert S.WORKING is bench.order(NAME).state


def test_a_shutdown_does_not_wait_for_it(bench: Bench) -> None:
    now_us = bench.clock.now_us()
    shutdown = Shutdown(bench.engine, "test", now_us + 60 * SECOND_US)
    shutdown.begin()
    for _ in range(8):
        bench.simulation.settle()
        if shutdown.step():
            break
    assert now_us == bench.clock.now_us()
    [end] = bench.events(ev.SessionEnded)
    assert end.clean


def test_the_policy_cancels_it_by_the_venues_id(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=evolve(RULES, cancel_external=True))
    bench.venue.open = {"x": reported("x")}
    look(bench)

    assert S.CANCELLED_BY_ENGINE is bench.order(NAME).state
    assert 1 == bench.cancels(NAME)
    bench.say(facts.OrderCanceled(venue_order_id="V-x", client_order_id="x"))
    assert S.CANCELED is bench.order(NAME).state
    bench.proven()


def test_what_the_account_did_before_the_first_start_is_in_its_opening_balances(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, opening=None)
    bench.kill()
    bench.database.unlink()
    bench.clock.move_to(START_US + 100 * SECOND_US)
    before = fill("t0", "4", venue_us=bench.clock.now_us() - 1)
    before = evolve(before, client_order_id=None, venue_order_id="V-x", instrument=PAIR)
    bench.venue.fills = [before]
    bench.venue.open = {"x": reported("x", filled="4")}
    bench.start()
    bench.venue.balances = lambda: {"USD": D(1000), "XRP": D(1004)}
    bench.wait(70)

    assert "ACTIVE" == bench.mode
    assert {"USD": D(1000), "XRP": D(1004)} == bench.engine.world.ledger.totals
    assert S.WORKING is bench.order(NAME).state
    assert "ok" == bench.engine.books.reconciler.truth.status
    bench.proven()


def test_a_fill_of_our_order_is_fetched_although_the_venue_s_clock_is_behind(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, opening=None)
    bench.kill()
    bench.database.unlink()
    bench.venue.balances = lambda: {"USD": D(1000)}
    bench.start()
    bench.place()
    bench.accept()
    behind = fill("t1", "4", venue_us=bench.clock.now_us() - 5 * SECOND_US)
    bench.venue.fills = [
        evolve(behind, client_order_id=None, venue_order_id="V-a", instrument=PAIR)
    ]
    bench.venue.open = {"a": reported("a", filled="4")}
    bench.wait(10)
    assert D(4) == bench.order("a").filled_qty


# --------------------------------------------------------------------- one that is ours after all


@pytest.mark.parametrize("filled", ["4", "9"])
@pytest.mark.parametrize("restart", [False, True])
def test_one_that_turns_out_to_be_ours_is_given_back_with_its_fills(
    tmp_path: Path, filled: str, restart: bool
) -> None:
    """The venue lists it without our id and with another quantity; its acknowledgement is late."""
    bench = Bench(tmp_path)
    bench.place()
    bench.venue.open = {"a": evolve(reported(), client_order_id=None, qty=D(9), price=D(1))}
    look(bench)
    name = external_name("hand", "V-a")
    nameless = {"client_order_id": None, "venue_order_id": "V-a", "instrument": PAIR}
    at_us = bench.clock.now_us()
    bench.say(evolve(fill("t1", filled, venue_us=at_us), **nameless))
    assert D(filled) == bench.order(name).filled_qty
    bench.venue.open = None
    if restart:
        bench.restart()
    bench.accept()

    assert (S.CANCELED, D(0)) == (bench.order(name).state, bench.order(name).filled_qty)
    assert D(filled) == bench.order().filled_qty == bench.position().qty
    assert D(1000) + D(filled) == bench.engine.world.ledger.totals["XRP"]
    assert D(10) - D(filled) == bench.engine.world.ledger.balance("USD").reserved
    bench.say(evolve(fill("t1", filled, venue_us=at_us), **nameless))
    bench.restart()
    rest = D(10) - D(filled)
    bench.say(evolve(fill("t2", str(rest), venue_us=at_us + 1), **nameless))
    assert (D(10), S.FILLED) == (bench.order().filled_qty, bench.order().state)
    assert D(0) == bench.order(name).filled_qty
    bench.proven()


def test_a_fill_that_names_both_ids_claims_it_and_is_booked_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.venue.open = {"a": evolve(reported(), client_order_id=None, qty=D(9), price=D(1))}
    look(bench)
    at_us = bench.clock.now_us()
    both = evolve(fill("t1", "4", venue_us=at_us), venue_order_id="V-a", instrument=PAIR)
    bench.say(evolve(both, client_order_id=None), both)

    assert D(4) == bench.order().filled_qty == bench.position().qty
    assert D(1004) == bench.engine.world.ledger.totals["XRP"]
    bench.proven()


def test_one_that_ended_and_is_listed_again_is_left_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    listed = {"x": evolve(reported("x"), price=D("0.5"))}
    bench.venue.open = listed
    look(bench)
    bench.venue.open = {}
    bench.venue.orders[NAME] = None
    look(bench)
    look(bench)
    assert S.CANCELED is bench.order(NAME).state
    bench.venue.open = listed
    bench.wait(20)

    assert 0 == bench.cancels(NAME)
    assert "ACTIVE" == bench.mode
    assert 1 == alerts(bench)
    late = fill("t1", "10", price=D("0.5"), venue_us=bench.clock.now_us())
    bench.say(evolve(late, client_order_id="x", venue_order_id="V-x"))
    assert D(1010) == bench.engine.world.ledger.totals["XRP"]
    bench.proven()


def test_an_open_order_without_a_name_that_fits_contests_an_absence(tmp_path: Path) -> None:
    """By its id the venue does not know it, but something open looks like it: a person decides."""
    bench = Bench(tmp_path)
    bench.place()
    bench.venue.open = {"a": evolve(reported(), client_order_id=None)}
    bench.venue.orders["a"] = None
    bench.wait(20)

    assert S.HELD_FOR_REVIEW is bench.order().state
    assert "DEGRADED" == bench.mode
    assert 1 == len(bench.events(ev.OrderIntended))
    a_day_back_us = START_US - 86_400 * SECOND_US
    searches = [r for r in bench.venue.sent if getattr(r, "since_us", 0) == a_day_back_us]
    assert 1 == len(searches)  # not at every pass
    bench.venue.open = {}
    bench.wait(60)
    assert S.EXPIRED is bench.order().state


def test_what_an_external_had_filled_before_is_searched_for_three_times(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.venue.open = {"x": evolve(reported("x", filled="4"), price=D("0.5"))}
    for _ in range(6):
        look(bench)
    sent = len(bench.venue.sent)
    look(bench)

    assert ["QueryOpenOrders", "QueryFills"] == [type(r).__name__ for r in bench.venue.sent[sent:]]
