"""The bounds of a pass (L9): questions, turns, pages, and what a watermark may not lose."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from actors import messages as msg
from actors.reconciling.passes import TOLD_MAX
from fsm import events as ev
from fsm import facts
from fsm.facts import Absent, Found, Unavailable
from fsm.mode import ControlLevel
from fsm.order import OrderState
from fsm.requests import Cancel, QueryFills, QueryOrder, VenueRequest
from fsm.timestamps import SECOND_US
from fsm.vocabulary import ExitReason, OrderType
from tests.unit.engine.handmade import RULES, START_US, Bench, fill, reported

D, S = Decimal, OrderState


def look(bench: Bench, scope: str = "orders") -> None:
    bench.tell(msg.PassDue(scope))


def resting(bench: Bench, count: int, qty: str = "1") -> list[str]:
    names = [f"o{number}" for number in range(count)]
    for name in names:
        bench.place(name, qty=D(qty))
    bench.say(*[facts.OrderAccepted(client_order_id=n, venue_order_id=f"V-{n}") for n in names])
    return names


def asked(bench: Bench, since: int = 0) -> list[str]:
    return [r.client_order_id for r in bench.venue.sent[since:] if isinstance(r, QueryOrder)]


# ---------------------------------------------------------------------------------- questions


def test_missing_orders_are_asked_for_a_few_a_pass_and_all_in_their_turn(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=evolve(RULES, queries_per_pass_max=4))
    names = resting(bench, 10)
    rounds = []
    for _ in range(5):
        sent = len(bench.venue.sent)
        look(bench)
        rounds.append(asked(bench, sent))

    assert [4] * 5 == [len(each) for each in rounds]
    assert set(names) == {name for each in rounds[:3] for name in each}
    times = [sum(each.count(name) for each in rounds) for name in names]
    assert {2} == set(times)


def test_an_exit_in_doubt_is_not_crowded_out(tmp_path: Path) -> None:
    rules = evolve(RULES, queries_per_pass_max=2, exit_reprice_after_us=10**12)
    bench = Bench(tmp_path, rules=rules)
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    resting(bench, 8)
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    [exit_] = bench.exits()[-1:]
    bench.accept(exit_.client_order_id)
    for _ in range(4):
        sent = len(bench.venue.sent)
        look(bench)
        assert exit_.client_order_id in asked(bench, sent)


def test_the_gate_is_not_passed_while_orders_wait_for_their_question(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=evolve(RULES, queries_per_pass_max=4))
    names = resting(bench, 10)
    bench.kill()
    bench.venue.orders = {name: reported(name, state="canceled") for name in names}
    bench.start()
    assert "RECONCILING" == bench.mode
    bench.wait(5)

    assert "ACTIVE" == bench.mode
    assert {S.CANCELED} == {bench.order(name).state for name in names}


# -------------------------------------------------------------------------------------- pieces


def test_a_big_page_is_booked_in_pieces_and_the_watermark_moves_with_the_last(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.place(qty=D(1000))
    bench.accept()
    bench.venue.fills = [fill(f"t{n}", "1", venue_us=START_US + n) for n in range(500)]
    turns: list[int] = []
    bench.engine.dispatcher.on_turn = lambda turn, took: turns.append(
        sum(type(event) is ev.OrderFilled for event in turn.events)
    )
    look(bench)

    assert D(500) == bench.order().filled_qty
    assert TOLD_MAX >= max(turns)
    rows = bench.engine.reader.conn.execute(
        "SELECT max(turn) FROM journal WHERE type = 'OrderFilled' "
        "UNION ALL SELECT turn FROM journal WHERE type = 'WatermarkMoved'"
    ).fetchall()
    assert rows[0] == rows[1]
    bench.proven()


def test_the_kill_switch_goes_before_the_rest_of_a_big_page(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place(qty=D(1000))
    bench.accept()
    bench.venue.fills = [fill(f"t{n}", "1", venue_us=START_US + n) for n in range(900)]
    seen: list[Decimal] = []

    def press(turn: object, took: float) -> None:
        if bench.order().filled_qty and not seen:
            seen.append(bench.order().filled_qty)
            bench.engine.inbox.command(msg.SetControl(ControlLevel.EMERGENCY, "me", "now"))

    booked_at_cancel: list[Decimal] = []

    class Watch:
        name = "watch"

        def send(self, request: VenueRequest) -> None:
            if isinstance(request, Cancel):
                booked_at_cancel.append(bench.order().filled_qty)
            bench.venue.send(request)

    bench.engine.release.gateway = Watch()
    bench.engine.dispatcher.on_turn = press
    look(bench)

    assert booked_at_cancel[0] <= seen[0] + TOLD_MAX
    assert D(900) == bench.order().filled_qty


def test_a_kill_between_two_pieces_loses_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place(qty=D(1000))
    bench.accept()
    bench.venue.fills = [fill(f"t{n}", "1", venue_us=START_US + n) for n in range(300)]
    bench.engine.inbox.tell_local(msg.PassDue("orders"))
    while not bench.order().filled_qty:
        bench.engine.dispatcher.run_turn()
        for message in bench.venue.advance(bench.clock.now_us()):
            bench.engine.inbox.facts.offer(message)
    assert D(300) > bench.order().filled_qty
    assert [] == bench.events(ev.WatermarkMoved)
    bench.venue.open = {"a": reported(filled="300")}
    bench.restart()

    assert D(300) == bench.order().filled_qty
    bench.proven()


# ----------------------------------------------------------------------------------- watermarks


def test_fills_of_one_moment_at_the_end_of_a_page_are_all_booked(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.page = 4
    moments = [0, 1, 2, 2, 2, 3, 3]
    bench.venue.fills = [fill(f"t{n}", "1", venue_us=START_US + m) for n, m in enumerate(moments)]
    look(bench)

    assert D(7) == bench.order().filled_qty
    assert [START_US + 3] == [e.venue_us for e in bench.events(ev.WatermarkMoved)]


def test_what_follows_a_moment_that_no_page_can_hold_is_booked_all_the_same(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.page = 3
    moments = [0, 2, 2, 2, 2, 5]
    bench.venue.fills = [fill(f"t{n}", "1", venue_us=START_US + m) for n, m in enumerate(moments)]
    look(bench)

    assert {"t0", "t1", "t2", "t3", "t5"} == set(bench.order().trades or {})
    assert [] == bench.events(ev.WatermarkMoved)
    assert bench.engine.books.reconciler.link.failures
    bench.proven()


def test_a_watermark_of_a_clock_that_had_jumped_ahead_loses_no_fill(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported()}
    bench.venue.fills = [fill("t1", "1", venue_us=START_US + 3_600 * SECOND_US)]
    look(bench)
    bench.wait(20)
    bench.venue.fills.insert(0, fill("t2", "1", venue_us=bench.clock.now_us()))
    look(bench)

    assert D(2) == bench.order().filled_qty


def test_a_clock_that_is_set_back_by_hours_loses_no_fill_of_a_working_order(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.place("z")
    bench.accept("z")
    bench.fill("tz", "10", "z")
    bench.wait(7_200)
    bench.place()
    bench.accept()
    bench.venue.fills = [fill("t1", "4", venue_us=bench.clock.now_us() - 3_600 * SECOND_US)]
    bench.venue.open = {"a": reported(filled="4")}
    for _ in range(9):
        look(bench)

    assert D(4) == bench.order().filled_qty


def test_an_end_waits_for_the_fills_that_the_venue_says_there_are(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.orders["a"] = reported(state="canceled", filled="4")
    look(bench)
    assert S.WORKING is bench.order().state
    bench.venue.fills = [fill("t1", "4")]
    look(bench)

    assert S.CANCELED is bench.order().state
    assert D(4) == bench.position().qty
    bench.proven()


def test_fills_that_never_show_are_for_a_person(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.orders["a"] = reported(state="filled", filled="10")
    bench.wait(20)

    assert S.HELD_FOR_REVIEW is bench.order().state
    assert D(0) == bench.order().filled_qty
    bench.proven()


# --------------------------------------------------------------------------------- cancel races


@pytest.mark.parametrize(
    ("result", "fills", "expected"),
    [
        (Found(reported(state="filled", filled="10")), [fill("t1", "10")], S.FILLED),
        (Found(reported(state="canceled")), [], S.CANCELED),
        (Found(reported(state="canceled", filled="3")), [fill("t1", "3")], S.CANCELED),
        (Absent("no"), [], S.HELD_FOR_REVIEW),
        (Unavailable("503"), [], S.CANCEL_PENDING),
    ],
)
def test_a_cancel_race_is_decided_by_evidence_and_counted_once(
    tmp_path: Path, result: object, fills: list[facts.OrderFill], expected: OrderState
) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.do(msg.CancelOrder("a", "test"))
    bench.venue.fills = fills
    if isinstance(result, Found):
        bench.venue.orders["a"] = result.value
    elif isinstance(result, Absent):
        bench.venue.orders["a"] = None
    bench.say(facts.CancelRefused(client_order_id="a", reason="too late"))
    bench.wait(10)

    assert expected is bench.order().state
    assert 1 == bench.engine.books.counters["cancel_races"]
    assert ("DEGRADED" if expected is S.HELD_FOR_REVIEW else "ACTIVE") == bench.mode
    bench.proven()


def test_a_cancel_that_left_after_the_question_is_not_sent_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported()}
    bench.venue.silent = True
    look(bench)
    bench.venue.silent = False
    bench.engine.inbox.tell_local(msg.CancelOrder("a", "test", by_engine=True))
    bench.simulation.settle()
    for query in [r for r in bench.venue.sent if not hasattr(r, "client_order_id")][-2:]:
        bench.say(bench.venue._answer(query))

    assert 1 == bench.cancels()


def test_market_orders_and_unknown_prices_are_no_trouble(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=evolve(RULES, assume_fill_when_young=True))
    bench.place(type=OrderType.MARKET, limit_price=None)
    bench.accept()
    bench.venue.orders["a"] = None
    look(bench)

    [filled] = bench.events(ev.OrderFilled)
    assert filled.price is None
    assert "entry_basis_missing" in bench.events(ev.PositionChanged)[0].flags
    assert all(isinstance(r.limit, int) for r in bench.venue.sent if isinstance(r, QueryFills))


def test_an_absence_from_before_a_fill_of_the_same_pass_ends_nothing(tmp_path: Path) -> None:
    """The list and the answer by id are older than their questions: from before the venue had it,
    while the fills of the same pass already tell a part of it."""
    bench = Bench(tmp_path)
    bench.place()
    bench.tell(msg.CancelOrder("a", "test", by_engine=True))
    bench.say(facts.CancelRefused(client_order_id="a", reason="unknown order"))
    bench.venue.fills = [fill("t1", "4", venue_us=bench.clock.now_us())]
    bench.venue.orders["a"] = None
    bench.venue.silent = True
    look(bench)
    for query in reversed(bench.venue.sent[-2:]):  # first the fills, then the list
        bench.say(bench.venue._answer(query))
    bench.say(bench.venue._answer(bench.venue.sent[-1]))
    bench.venue.silent = False

    assert (S.CANCELLED_BY_ENGINE, D(4)) == (bench.order().state, bench.order().filled_qty)
    bench.venue.open = {"a": reported(filled="4")}
    look(bench)
    assert S.CANCELLED_BY_ENGINE is bench.order().state
    assert bench.cancels() > 1
    bench.venue.open = {}
    look(bench)
    assert S.CANCELED is bench.order().state
