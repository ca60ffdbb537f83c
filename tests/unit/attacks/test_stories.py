"""Longer stories: inferred fills, snapshots, exits, restarts."""

from __future__ import annotations

import random
import time
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from actors import messages as msg
from actors.offline import carry_out
from actors.reconciling.externals import external_name
from fsm import events as ev
from fsm import facts
from fsm.mode import ControlLevel
from fsm.order import OrderState
from fsm.position import PositionState
from fsm.timestamps import SECOND_US
from fsm.vocabulary import ExitReason, HeldOutcome, Side
from tests.unit.engine.handmade import PAIR, RULES, START_US, Bench, fill, reported

D, S, P = Decimal, OrderState, PositionState
ASSUME = evolve(RULES, assume_fill_when_young=True)


def look(bench: Bench, scope: str = "orders") -> None:
    bench.tell(msg.PassDue(scope))


def booked(bench: Bench) -> tuple[Decimal, Decimal, Decimal]:
    totals = bench.engine.world.ledger.totals
    return bench.order().filled_qty, bench.position().qty, totals["XRP"] - 1000


@pytest.mark.parametrize("seed", range(60))
def test_any_order_of_real_parts_after_an_inference_ends_at_what_the_venue_did(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    bench = Bench(tmp_path, rules=ASSUME)
    bench.place()
    bench.accept()
    real: dict[str, Decimal] = {}
    left = D(10)
    number = 0
    while left > 0 and draw.random() < 0.8:
        qty = min(left, D(draw.randint(1, 6)))
        number += 1
        real[f"t{number}"] = qty
        left -= qty
    early = [name for name in real if draw.random() < 0.3]
    for name in early:
        bench.fill(name, str(real[name]), price=D("0.9"))
    bench.venue.orders["a"] = None
    look(bench)
    voided: set[str] = set()
    steps = [("fill", n) for n in real if n not in early]
    steps += [("void", n) for n in real if draw.random() < 0.25]
    draw.shuffle(steps)
    steps.sort(key=lambda step: step[0] == "void" and False)
    pending: list[tuple[str, str]] = list(steps)
    told = set(early)
    while pending:
        kind, name = pending.pop(0)
        if kind == "void" and name not in told:
            pending.append((kind, name))
            continue
        if draw.random() < 0.3:
            bench.restart()
        if kind == "fill":
            told.add(name)
            bench.fill(name, str(real[name]), price=D("0.9"))
        else:
            voided.add(name)
            bench.say(facts.FillVoided(trade_id=name, client_order_id="a"))
    total = sum((q for n, q in real.items() if n not in voided), D(0))
    bench.venue.fills = [
        fill(n, str(q), price=D("0.9"), venue_us=START_US)
        for n, q in real.items()
        if n not in voided
    ]
    bench.venue.orders["a"] = reported(state="canceled", filled=str(total))
    for _ in range(4):
        look(bench)
        bench.wait(2)

    assert (total, total, total) == booked(bench)
    assert D(1000) - total * D("0.9") == bench.engine.world.ledger.totals["USD"]
    bench.proven()


def test_an_inference_that_nobody_ever_proves_is_said(tmp_path: Path) -> None:
    """After the threshold it is asked for no more; what stays inferred must not look proven."""
    bench = Bench(tmp_path, rules=ASSUME)
    bench.place()
    bench.accept()
    bench.venue.orders["a"] = None
    look(bench)
    bench.wait(600)
    bench.venue.orders["a"] = reported(state="canceled")
    bench.wait(120)

    assert D(0) == bench.order().filled_qty


def test_an_inferred_exit_that_was_canceled_at_the_venue_is_sold_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=ASSUME)
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.quote("1", "1.01")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    [exit_] = bench.exits()
    bench.accept(exit_.client_order_id)
    bench.venue.orders[exit_.client_order_id] = None
    look(bench)
    assert P.CLOSED is bench.position().state
    bench.restart()
    bench.venue.orders[exit_.client_order_id] = evolve(
        reported(exit_.client_order_id, state="canceled"), side=Side.SELL
    )
    look(bench)
    bench.wait(3)

    assert D(10) == bench.position().qty
    assert 2 == len(bench.exits())
    bench.proven()


def test_engine_cancel_while_the_inference_is_disproved_under_emergency(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=ASSUME)
    bench.place()
    bench.accept()
    bench.venue.orders["a"] = None
    look(bench)
    bench.quote("1", "1.01")
    bench.do(msg.SetControl(ControlLevel.EMERGENCY, "me", "now"))
    bench.venue.orders["a"] = reported(state="canceled")
    look(bench)
    bench.wait(10)
    exits = bench.exits()
    if exits:
        bench.accept(exits[0].client_order_id)
        bench.say(facts.OrderCanceled(client_order_id=exits[0].client_order_id))
    bench.wait(5)

    assert D(0) == bench.position().qty
    assert P.CLOSED is bench.position().state
    bench.proven()


def test_the_exit_of_an_inferred_entry_that_is_sold_short_is_bought_back_once(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, rules=ASSUME)
    bench.place()
    bench.accept()
    bench.venue.orders["a"] = None
    look(bench)
    bench.quote("1", "1.01")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    [exit_] = bench.exits()
    bench.accept(exit_.client_order_id)
    bench.fill("t1", "10", exit_.client_order_id)
    assert P.CLOSED is bench.position().state
    bench.venue.orders["a"] = reported(state="canceled")
    look(bench)
    bench.wait(3)
    exits = bench.exits()

    assert D(-10) == bench.position().qty
    assert [Side.SELL, Side.BUY] == [e.side for e in exits]
    bench.fill("t2", "10", exits[1].client_order_id)
    assert P.CLOSED is bench.position().state
    bench.proven()


# ------------------------------------------------------------------------------- resolving


def held_exit(tmp_path: Path) -> tuple[Bench, str]:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.quote("1", "1.01")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    [exit_] = bench.exits()
    name = exit_.client_order_id
    bench.accept(name)
    bench.tell(msg.Disappeared(name, "test"), msg.HoldOrder(name, "inconclusive"))
    assert S.HELD_FOR_REVIEW is bench.order(name).state
    return bench, name


@pytest.mark.parametrize("outcome", ["filled", "canceled", "part"])
def test_a_held_exit_is_resolved_offline(tmp_path: Path, outcome: str) -> None:
    bench, name = held_exit(tmp_path)
    bench.kill()
    qty = {"filled": "10", "canceled": None, "part": "4"}[outcome]
    trades = () if qty is None else (fill("x1", qty, name),)
    answer = carry_out(
        bench.database,
        msg.ResolveHeld(
            client_order_id=name,
            outcome=HeldOutcome.FILLED if outcome == "filled" else HeldOutcome.CANCELED,
            evidence="page",
            who="me",
            trades=trades,
        ),
    )
    assert answer["accepted"]
    bench.clock.move_to(time.time_ns() // 1_000 + SECOND_US)  # the offline command is of today
    bench.start()
    bench.quote("1", "1.01")
    bench.wait(10)
    left = D(10) - D(qty or 0)
    assert left == bench.position().qty
    if left:
        sent = [e for e in bench.exits() if e.client_order_id != name]
        assert [left] == [e.qty for e in sent]
    else:
        assert P.CLOSED is bench.position().state
    bench.proven()


# ------------------------------------------------------------------------------- bounds, gates


def test_an_external_order_of_which_a_part_is_from_before_does_not_bar_the_gate(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.venue.open = {"x": evolve(reported("x", filled="4"), price=D("0.5"))}
    look(bench)
    bench.restart()
    bench.wait(5)
    assert "ACTIVE" == bench.mode
    bench.proven()


def test_a_fill_of_an_external_order_after_its_end_is_booked_under_its_name(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.venue.open = {"x": evolve(reported("x"), price=D("0.5"))}
    look(bench)
    name = external_name("hand", "V-x")
    bench.venue.open = {}
    bench.venue.orders[name] = None
    look(bench)
    bench.wait(2)
    bench.restart()
    bench.venue.fills = [
        evolve(
            fill("t1", "10", price=D("0.5"), venue_us=bench.clock.now_us()),
            client_order_id=None,
            venue_order_id="V-x",
            instrument=PAIR,
        )
    ]
    look(bench)
    look(bench)
    assert D(1010) == bench.engine.world.ledger.totals["XRP"]
    assert 1 == len(bench.events(ev.OrderFilled))
    bench.proven()


def test_the_same_fill_of_an_ended_order_by_the_venues_id_only_costs_no_refold_a_pass(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    for n in range(20):
        bench.place(f"o{n}", qty=D(1))
        bench.accept(f"o{n}")
        bench.fill(f"t{n}", "1", f"o{n}", venue_us=bench.clock.now_us())
    bench.venue.fills = [
        evolve(
            fill(f"t{n}", "1", venue_us=bench.clock.now_us()),
            client_order_id=None,
            venue_order_id=f"V-o{n}",
            instrument=PAIR,
        )
        for n in range(20)
    ]
    look(bench)
    refolds = []
    books = bench.engine.books
    original = books.refold_order
    books.refold_order = lambda name: (refolds.append(name), original(name))[1]  # type: ignore
    look(bench)
    look(bench)
    assert [] == refolds


def test_a_voided_entry_of_a_closed_position(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.quote("1", "1.01")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    [exit_] = bench.exits()
    bench.accept(exit_.client_order_id)
    bench.fill("t2", "10", exit_.client_order_id)
    bench.restart()
    bench.say(facts.FillVoided(trade_id="t2", client_order_id=exit_.client_order_id))
    bench.wait(2)
    assert D(10) == bench.position().qty
    assert 2 == len(bench.exits())
    bench.proven()


def test_clock_set_back_by_hours_does_not_hold_a_young_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.wait(6)
    assert S.UNKNOWN is bench.order().state
    bench.venue.orders["a"] = None
    look(bench)
    assert SECOND_US
    bench.wait(5)
    assert S.EXPIRED is bench.order().state
