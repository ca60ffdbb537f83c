"""What counts as an absence, and what an absence may lead to."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from attrs import evolve

from actors import messages as msg
from actors.reconciling.externals import external_name
from fsm import events as ev
from fsm import facts
from fsm.order import OrderState
from fsm.position import PositionState
from fsm.timestamps import SECOND_US
from fsm.vocabulary import ExitReason, Side
from tests.engines import BITCOIN
from tests.unit.engine.handmade import PAIR, RULES, SPOT, START_US, Bench, fill, reported

D, S, P = Decimal, OrderState, PositionState
NAME = external_name("hand", "V-x")


def look(bench: Bench, scope: str = "orders") -> None:
    bench.tell(msg.PassDue(scope))


def test_an_exit_is_not_doubled_while_a_fill_of_an_unknown_order_fits_it(tmp_path: Path) -> None:
    """Its answer was lost, the venue forgets filled orders, and its fills name only its own id."""
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.quote("1", "1.01")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    [exit_] = bench.exits()
    bench.venue.fills = [
        evolve(
            fill("x1", "10", venue_us=bench.clock.now_us()),
            client_order_id=None,
            venue_order_id="V-exit",
            instrument=PAIR,
            side=Side.SELL,
        )
    ]
    bench.venue.orders[exit_.client_order_id] = None
    for _ in range(40):
        look(bench)
        bench.wait(2)

    assert [exit_] == bench.exits()


def test_an_exit_is_not_doubled_after_the_venue_s_clock_went_back(tmp_path: Path) -> None:
    """An earlier fill moved the watermark; the exit's fill is an hour older by the venue's clock,
    and the venue forgets orders that are over: fills since the watermark are no witness for it."""
    bench = Bench(tmp_path)
    bench.clock.move_to(START_US + 7_200 * SECOND_US)
    bench.place()
    bench.accept()
    bench.venue.fills = [fill("t1", "10", venue_us=bench.clock.now_us())]
    look(bench)
    assert D(10) == bench.position().qty
    bench.quote("1", "1.01")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    [exit_] = bench.exits()
    back_us = bench.clock.now_us() - 3_600 * SECOND_US
    bench.venue.fills.insert(0, fill("x1", "10", exit_.client_order_id, venue_us=back_us))
    bench.venue.orders[exit_.client_order_id] = None
    for _ in range(10):
        look(bench)
        bench.wait(2)

    assert [exit_] == bench.exits()


def test_somebody_s_order_that_was_missed_once_is_not_cancelled(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    listed = {"x": evolve(reported("x"), price=D("0.5"))}
    bench.venue.open = listed
    look(bench)
    bench.venue.open = {}
    bench.venue.orders[NAME] = None
    look(bench)
    bench.venue.open = listed
    bench.wait(6)
    look(bench)

    assert 0 == bench.cancels(NAME)
    assert "ACTIVE" == bench.mode


def test_somebody_s_order_that_grew_at_the_venue_does_not_degrade(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.venue.open = {"x": evolve(reported("x"), price=D("0.5"))}
    look(bench)
    bench.venue.open = {"x": evolve(reported("x"), price=D("0.5"), qty=D(20))}
    look(bench)
    bench.say(evolve(fill("t1", "15", price=D("0.5")), client_order_id="x", venue_order_id="V-x"))

    assert "ACTIVE" == bench.mode


def test_a_cancel_of_an_old_order_is_given_its_time(tmp_path: Path) -> None:
    """The order is old, its cancel is not: the confirmation is three seconds late."""
    bench = Bench(tmp_path, rules=evolve(RULES, max_in_flight_us=60 * SECOND_US))
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported()}
    bench.wait(100)
    bench.do(msg.CancelOrder("a", "me"))
    bench.venue.open = {}
    bench.venue.orders["a"] = None
    look(bench)
    bench.wait(3)

    assert S.CANCEL_PENDING is bench.order().state
    assert "ACTIVE" == bench.mode


def test_an_order_of_an_instrument_that_is_no_longer_configured_does_not_bar_the_gate(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.wait(6)
    assert S.UNKNOWN is bench.order().state
    bench.venue.orders["a"] = None
    bench.instrument = evolve(SPOT, name="ETH/USD", base="ETH")
    bench.restart()
    bench.wait(600)

    assert S.EXPIRED is bench.order().state
    assert "ACTIVE" == bench.mode


def test_two_fundings_without_id_and_time_are_two(tmp_path: Path) -> None:
    bench = Bench(tmp_path, instrument=BITCOIN, opening={"USD": D(1000)})
    for amount in ("1", "2"):
        bench.say(facts.FundingPaid(instrument=BITCOIN.name, amount=D(amount)))
        bench.wait(1)

    assert [D(1), D(2)] == [e.amount for e in bench.events(ev.FundingBooked)]


def test_a_late_fill_of_an_order_that_never_arrived_is_booked_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.venue.orders["a"] = None
    bench.wait(10)
    assert S.EXPIRED is bench.order().state
    bench.restart()
    late = fill("t1", "10", venue_us=bench.clock.now_us())
    bench.venue.fills = [late]
    look(bench)
    bench.say(late)
    bench.restart()
    look(bench)
    assert D(1010) == bench.engine.world.ledger.totals["XRP"]
    assert D(10) == bench.position().qty
    bench.proven()
