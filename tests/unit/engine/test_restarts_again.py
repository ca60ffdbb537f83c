"""What had ended and came to life again is counted and ruled as before, after a restart too."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from actors import messages as msg
from fsm import facts
from fsm.mode import ControlLevel
from fsm.position import PositionState
from fsm.vocabulary import ExitReason
from tests.unit.engine.handmade import PAIR, Bench

D = Decimal


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A strategy's entry that ended unfilled; its position is closed."""
    bench = Bench(tmp_path)
    bench.place(strategy="s", stop=D("0.5"))
    bench.accept()
    bench.say(facts.OrderCanceled(client_order_id="a"))
    assert PositionState.CLOSED is bench.position().state
    return bench


def counted(bench: Bench) -> int:
    return bench.engine.world.open_of_strategy.get(("s", PAIR), 0)


def test_a_position_that_a_late_fill_reopened_counts_for_its_strategy_after_a_restart(
    bench: Bench,
) -> None:
    assert 0 == counted(bench)
    bench.fill("late", "4")
    assert 1 == counted(bench)
    for _ in range(2):
        bench.restart()
        assert 1 == counted(bench)
        assert bench.position().is_open
    bench.proven()


def test_the_count_is_zero_again_when_the_reopened_position_is_closed(bench: Bench) -> None:
    bench.fill("late", "4")
    bench.restart()
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    bench.fill("out", "4", bench.exits()[-1].client_order_id)
    assert 0 == counted(bench)
    bench.restart()

    assert 0 == counted(bench)
    bench.proven()


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        (ControlLevel.FLATTEN, ExitReason.FLATTEN),
        (ControlLevel.EMERGENCY, ExitReason.EMERGENCY),
    ],
)
def test_a_kill_switch_that_stands_takes_out_what_a_late_fill_reopened_while_stopping(
    bench: Bench, level: ControlLevel, reason: ExitReason
) -> None:
    bench.tell(msg.SetControl(level, "x", "y"))
    bench.tell(msg.StopSession("test"))
    bench.fill("late", "4")
    assert ("STOPPING", PositionState.MONITORING) == (bench.mode, bench.position().state)
    assert [] == bench.exits()
    bench.restart()
    bench.wait(10)

    assert PositionState.EXIT_PENDING is bench.position().state
    assert reason is bench.position().exit_reason
    assert [D(4)] == [exit_.qty for exit_ in bench.exits()]
    bench.proven()


def test_without_the_kill_switch_it_is_kept_with_its_stop(bench: Bench) -> None:
    bench.tell(msg.StopSession("test"))
    bench.fill("late", "4")
    bench.restart()
    bench.wait(10)

    assert PositionState.MONITORING is bench.position().state
    assert [] == bench.exits()
    bench.quote("0.4", "0.41")
    assert [D(4)] == [exit_.qty for exit_ in bench.exits()]
    bench.proven()
