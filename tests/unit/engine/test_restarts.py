"""What a kill leaves behind: doubts, protection, exits, and who owns what comes late (L4, L7)."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from actors import messages as msg
from actors.release import spill_path
from fsm import events as ev
from fsm import facts
from fsm.order import OrderState
from fsm.position import PositionState
from fsm.vocabulary import ExitReason
from tests.unit.engine.handmade import Bench, reported

D = Decimal


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_an_order_without_an_answer_is_unknown_after_a_kill_and_never_sent_again(
    bench: Bench,
) -> None:
    bench.place()
    assert OrderState.SUBMITTED is bench.order().state
    bench.venue.open = None
    bench.restart()

    assert OrderState.UNKNOWN is bench.order().state
    assert 1 == len(bench.submits())
    bench.proven()


def test_an_order_that_arrived_is_found_open_by_the_first_pass(bench: Bench) -> None:
    bench.place()
    bench.venue.open = {"a": reported()}
    bench.restart()

    assert OrderState.WORKING is bench.order().state
    assert "V-a" == bench.order().venue_order_id
    bench.proven()


def test_absence_with_proof_ends_it_and_the_position_with_it(bench: Bench) -> None:
    bench.place()
    bench.venue.orders["a"] = None
    bench.restart()
    bench.wait(6)

    assert OrderState.EXPIRED is bench.order().state
    assert PositionState.CLOSED is bench.position().state
    assert "ACTIVE" == bench.mode
    bench.proven()


def test_a_fill_that_came_while_we_were_down_is_booked_once_from_query_and_stream(
    bench: Bench,
) -> None:
    from tests.unit.engine.handmade import fill

    bench.place()
    bench.accept()
    bench.venue.fills = [fill("t1", "10")]
    bench.venue.balances = lambda: {"USD": D(990), "XRP": D(1010)}
    bench.kill()
    bench.start()
    bench.fill("t1", "10")

    assert D(10) == bench.position().qty
    assert 1 == len(bench.events(ev.OrderFilled))
    bench.proven()


def test_stop_and_trailing_stop_work_again_before_trading_does(bench: Bench) -> None:
    bench.place(stop=D("0.9"), trailing=D("0.2"))
    bench.accept()
    bench.fill("t1", "10")
    bench.quote("1.5", "1.51")
    drawn = bench.position().trail_stop
    bench.venue.open = None
    bench.restart()

    assert D("1.3") == drawn == bench.position().trail_stop
    assert "RECONCILING" == bench.mode
    bench.quote("1.25", "1.26")
    assert ExitReason.TRAILING_STOP is bench.position().exit_reason
    assert 1 == len(bench.exits())
    bench.proven()


def test_an_expiry_that_passed_while_we_were_down_is_due_at_once(bench: Bench) -> None:
    bench.place(expires_in_us=5_000_000)
    bench.accept()
    bench.fill("t1", "10")
    bench.kill()
    bench.clock.move_to(bench.clock.now_us() + 60_000_000)
    bench.start()

    assert ExitReason.EXPIRY is bench.position().exit_reason
    assert 1 == len(bench.exits())


def test_an_exit_in_doubt_is_never_doubled_by_a_restart(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    bench.venue.orders[bench.exits()[0].client_order_id] = ""  # type: ignore[assignment]
    for _ in range(3):
        bench.restart()
        bench.wait(20)

    assert 1 == len(bench.exits())
    assert PositionState.EXIT_PENDING is bench.position().state
    bench.proven()


def test_a_position_that_a_late_fill_reopened_is_there_after_the_next_start(bench: Bench) -> None:
    """The fold forgot what had ended, and dropped what came after the end."""
    bench.place(stop=D("0.5"))
    bench.accept()
    bench.do(msg.CancelOrder("a", "test"))
    bench.say(facts.OrderCanceled(client_order_id="a"))
    assert "a" not in bench.engine.world.positions
    bench.fill("late", "4")
    assert PositionState.MONITORING is bench.position().state
    before = bench.position()
    bench.restart()

    assert "a" in bench.engine.world.positions
    assert before == bench.engine.world.positions["a"]
    bench.quote("0.4", "0.41")
    assert [D(4)] == [exit_.qty for exit_ in bench.exits()]
    bench.proven()


def test_a_late_fill_that_an_exit_took_out_again_leaves_nothing_behind(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.say(facts.OrderCanceled(client_order_id="a"))
    bench.fill("late", "4")
    exit_id = bench.exits()[0].client_order_id
    bench.fill("x", "4", exit_id)
    bench.restart()

    assert {} == bench.engine.world.positions
    assert {} == bench.engine.world.orders
    bench.proven()


def test_every_restart_folds_to_the_same_actors(bench: Bench) -> None:
    bench.place(stop=D("0.5"))
    bench.accept()
    bench.fill("t1", "3")
    bench.place("b")
    bench.accept("b")
    bench.do(msg.CancelOrder("b", "test"))
    orders, positions = dict(bench.engine.world.orders), dict(bench.engine.world.positions)
    totals = dict(bench.engine.world.ledger.totals)
    bench.venue.open = None
    for _ in range(2):
        bench.restart()
        assert orders == bench.engine.world.orders
        assert positions == bench.engine.world.positions
        assert totals == bench.engine.world.ledger.totals


def test_voided_fills_leave_the_same_position_in_memory_and_folded_anew(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    exit_id = bench.exits()[0].client_order_id
    bench.accept(exit_id)
    bench.fill("x1", "4", exit_id)
    bench.say(facts.FillVoided(trade_id="x1", client_order_id=exit_id))

    assert D(10) == bench.position().qty
    assert D(10) == bench.position().live[exit_id].rest == bench.order(exit_id).rest
    assert 1 == len(bench.exits())
    memory = bench.position()
    assert memory == bench.engine.books.refold_position("a")
    bench.proven()


def test_the_kill_switch_level_survives_and_a_spilled_cancel_is_folded(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.kill()
    spill_path(bench.database).write_text(json.dumps({"cancel": "a"}) + '\n{"torn')
    bench.venue.open = {"a": reported()}
    bench.start()

    assert OrderState.CANCELLED_BY_ENGINE is bench.order().state
    assert bench.cancels()
    assert not spill_path(bench.database).exists()
    bench.proven()
