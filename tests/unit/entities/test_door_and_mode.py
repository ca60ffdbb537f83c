"""The door refuses by name and fails closed; the mode keeps its sources, causes and levels."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from actors import messages as msg
from actors.world import Rules
from fsm import events as ev
from fsm import facts
from fsm.mode import ControlLevel, ModeState, Permission, permitted
from fsm.vocabulary import ExitReason, InstrumentKind, Side
from tests.unit.engine.handmade import PAIR, RULES, SPOT, Bench

D = Decimal
WISH = ev.SignalRaised(
    signal_id="s1", strategy="test", instrument=PAIR, side=Side.BUY, qty=D(10), notional=None,
    stop=D("0.5"), take_profit=D(2), trailing=None, expires_in_us=None, bid=None, ask=None,
    event_us=0, inputs={},
)  # fmt: skip


def wished(
    folder: Path, *, rules: Rules = RULES, quote: tuple[str | None, str | None] | None = ("1", "1"),
    instrument: Any = SPOT, before: tuple[object, ...] = (), **changes: Any,
) -> tuple[Bench, Any]:  # fmt: skip
    """One wish at the door of a fresh engine, and what was decided."""
    bench = Bench(folder, rules=rules, instrument=instrument)
    if quote is not None:
        bench.quote(*quote)
    for message in before:
        bench.tell(message)
    bench.tell(msg.SignalForDoor(evolve(WISH, **changes)))
    return bench, bench.events(ev.SignalDecided)[-1]


def test_a_wish_within_all_rules_becomes_one_entry_order(tmp_path: Path) -> None:
    bench, decided = wished(tmp_path)

    assert (True, "all") == (decided.approved, decided.rule)
    assert all(check.passed for check in decided.checks)
    assert [D(10)] == [submit.qty for submit in bench.submits()]


CASES: list[tuple[str, dict[str, Any]]] = [
    ("mode", {"before": (msg.Degrade("x"),)}),
    ("mode", {"before": (msg.Halt("x"),)}),
    ("mode", {"before": (msg.SetControl(ControlLevel.PAUSE, "me", ""),)}),
    ("allowed_strategies", {"rules": evolve(RULES, allowed_strategies=frozenset({"other"}))}),
    ("allowed_instruments", {"rules": evolve(RULES, allowed_instruments=frozenset({"other"}))}),
    ("allowed_instruments", {"instrument": evolve(SPOT, name="OTHER")}),
    ("fresh_quote", {"quote": None}),
    ("fresh_quote", {"quote": ("1", None)}),
    ("fresh_quote", {"quote": (None, "1")}),
    ("fresh_quote", {"rules": evolve(RULES, stale_after_us=-1)}),
    ("quantity", {"qty": D("0.001")}),
    ("quantity", {"qty": None}),
    ("quantity", {"instrument": evolve(SPOT, min_notional=D(11))}),
    ("price_sanity", {"quote": ("1.1", "1")}),
    ("price_sanity", {"quote": ("1", "2"), "stop": D("0.1"), "take_profit": D(9)}),
    ("protection", {"stop": D(1)}),
    ("protection", {"take_profit": D("0.9")}),
    ("protection", {"trailing": D(-1)}),
    ("max_position_usd", {"rules": evolve(RULES, max_position_usd=D("9.99"))}),
    ("capital_deployed", {"rules": evolve(RULES, max_session_loss=D("9.99"))}),
    ("daily_drawdown", {"rules": evolve(RULES, daily_drawdown=D(0))}),
    ("orders_per_minute_max", {"rules": evolve(RULES, orders_per_minute_max=0)}),
    ("free_funds", {"qty": D(1001)}),
    ("free_funds", {"qty": D(1001), "side": Side.SELL, "stop": D(2), "take_profit": D("0.5")}),
]


@pytest.mark.parametrize(("rule", "given"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)])
def test_each_rule_refuses_by_its_name_and_records_what_it_saw(
    tmp_path: Path, rule: str, given: dict[str, Any]
) -> None:
    bench, decided = wished(tmp_path, **given)

    assert (False, rule) == (decided.approved, decided.rule)
    assert rule == decided.checks[-1].rule
    assert not decided.checks[-1].passed
    assert all(check.passed for check in decided.checks[:-1])
    assert [] == bench.submits()


def test_market_orders_that_have_not_filled_yet_count_as_capital_at_work(tmp_path: Path) -> None:
    """Each of them was within the cap; together they were twice the cap."""
    bench, first = wished(tmp_path, rules=evolve(RULES, max_session_loss=D(15)))
    bench.tell(msg.SignalForDoor(evolve(WISH, signal_id="s2")))
    second = bench.events(ev.SignalDecided)[-1]

    assert (True, False) == (first.approved, second.approved)
    assert "capital_deployed" == second.rule


def test_no_entry_while_an_order_on_that_instrument_is_in_doubt(tmp_path: Path) -> None:
    bench, _ = wished(tmp_path)
    order_id = bench.submits()[0].client_order_id
    bench.say(facts.OutcomeUnknown(client_order_id=order_id, reason="cut"))
    bench.tell(msg.SignalForDoor(evolve(WISH, signal_id="s2")))

    assert "no_unknown_order" == bench.events(ev.SignalDecided)[-1].rule


def test_no_bet_against_ourselves_where_the_venue_nets(tmp_path: Path) -> None:
    swap = evolve(SPOT, kind=InstrumentKind.PERPETUAL, max_leverage=D(2))
    bench, _ = wished(tmp_path, instrument=swap)
    bench.fill("t1", "10", bench.submits()[0].client_order_id)
    against = evolve(WISH, signal_id="s2", side=Side.SELL, stop=D(2), take_profit=D("0.5"))
    bench.tell(msg.SignalForDoor(against))

    assert "one_way" == bench.events(ev.SignalDecided)[-1].rule


# ---------------------------------------------------------------------------------------- mode


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_sources_are_a_set_and_the_last_one_that_recovers_ends_it(bench: Bench) -> None:
    bench.tell(msg.Degrade("a"), msg.Degrade("b"), msg.Degrade("a"))
    assert ["a", "b"] == list(bench.engine.books.mode.sources)
    bench.tell(msg.Recover("a"), msg.Recover("nobody"))
    assert "DEGRADED" == bench.mode
    bench.tell(msg.Recover("b"))

    assert "ACTIVE" == bench.mode


def test_the_first_cause_of_a_halt_stays(bench: Bench) -> None:
    bench.tell(msg.Halt("precise"), msg.Halt("generic"), msg.Degrade("x"))

    assert ("HALTED", "precise") == (bench.mode, bench.engine.books.mode.halt_reason)


def test_halted_survives_a_kill_and_a_reconciliation_until_the_operator_resumes(
    bench: Bench,
) -> None:
    bench.tell(msg.Halt("precise"))
    bench.restart()
    bench.wait(5)
    assert ("HALTED", "precise") == (bench.mode, bench.engine.books.mode.halt_reason)
    bench.do(msg.Resume("me", "looked at it"))
    bench.wait(5)

    assert ("ACTIVE", None) == (bench.mode, bench.engine.books.mode.halt_reason)
    bench.proven()


def test_a_fresh_start_forgets_the_halt_and_keeps_the_control_level(bench: Bench) -> None:
    bench.tell(msg.Halt("precise"))
    bench.do(msg.SetControl(ControlLevel.PAUSE, "me", "night"))
    bench.tell(msg.EndSession(reason="x", clean=True, ticks=0))
    bench.restart()

    assert ("ACTIVE", None) == (bench.mode, bench.engine.books.mode.halt_reason)
    assert ControlLevel.PAUSE is bench.engine.world.control


def test_degraded_takes_entries_back_and_leaves_exits_at_work(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.fill("t1", "4")
    bench.place("b")
    bench.accept("b")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    exit_id = bench.submits()[-1].client_order_id
    bench.tell(msg.Degrade("x"))

    assert (1, 1, 0) == tuple(bench.cancels(name) for name in ("a", "b", exit_id))


@pytest.mark.parametrize("level", list(ControlLevel))
@pytest.mark.parametrize("mode", list(ModeState))
def test_what_is_allowed_is_the_minimum_of_both_axes(mode: ModeState, level: ControlLevel) -> None:
    entry, exit_, cancel = (permitted(mode, level, what) for what in Permission)

    assert entry == (mode is ModeState.ACTIVE and level is ControlLevel.OFF)
    silent = mode in (ModeState.STARTING, ModeState.OBSERVING, ModeState.STOPPED)
    assert (exit_, cancel) == (not silent, not silent)
    for what in (Permission.ENTRY, Permission.EXIT):
        assert not permitted(mode, level, what, journal_ok=False)
