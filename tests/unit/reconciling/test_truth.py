"""Wallet truth: tolerances, repetition, races, rounds that failed, a halt that lasts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from actors import messages as msg
from actors.reconciling.truth import tolerance
from fsm import events as ev
from fsm import facts
from fsm.facts import Found
from fsm.position import PositionState
from fsm.requests import QueryBalances, QueryFills, QueryOpenOrders
from fsm.vocabulary import ExitReason
from tests.engines import BITCOIN
from tests.unit.engine.handmade import RULES, SPOT, Bench, fill, reported

D = Decimal


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def look(bench: Bench, scope: str = "books") -> None:
    bench.tell(msg.PassDue(scope))


def wallet(bench: Bench, usd: str = "1000", xrp: str = "1000") -> None:
    bench.venue.balances = lambda: {"USD": D(usd), "XRP": D(xrp)}


def status(bench: Bench) -> str:
    return bench.engine.books.reconciler.truth.status


@pytest.mark.parametrize(
    ("total", "expected"), [("0", "0.0001"), ("0.1", "0.0001"), ("1000", "0.5"), ("-1000", "0.5")]
)
def test_the_tolerance_is_the_larger_of_both(total: str, expected: str) -> None:
    assert D(expected) == tolerance("USD", D(total), RULES)


def test_an_assets_own_tolerance_stands_instead_of_both() -> None:
    rules = evolve(RULES, truth_tolerances={"XRP": D("0.01")})
    assert D("0.01") == tolerance("XRP", D(1000), rules)
    assert D("0.5") == tolerance("USD", D(1000), rules)


@pytest.mark.parametrize(
    ("usd", "expected"), [("1000", "ok"), ("1000.4", "warn"), ("999.5", "warn"), ("999.4", "halt")]
)
def test_ok_warn_and_halt(bench: Bench, usd: str, expected: str) -> None:
    wallet(bench, usd)
    look(bench)
    bench.wait(3)

    assert expected == status(bench)
    assert ("DEGRADED" if expected == "halt" else "ACTIVE") == bench.mode


def test_a_halt_that_lasts_ends_the_trading_with_its_reason(bench: Bench) -> None:
    wallet(bench, "900")
    look(bench)
    bench.wait(299)
    assert "DEGRADED" == bench.mode
    bench.wait(5)

    assert "HALTED" == bench.mode
    assert "inventory_truth_halt" == bench.engine.books.mode.halt_reason


def test_an_ok_in_between_starts_the_clock_anew(bench: Bench) -> None:
    wallet(bench, "900")
    look(bench)
    bench.wait(200)
    wallet(bench)
    look(bench)
    assert "ACTIVE" == bench.mode
    wallet(bench, "900")
    look(bench)
    bench.wait(250)

    assert "DEGRADED" == bench.mode


def test_a_round_that_failed_never_finds_a_halt(bench: Bench) -> None:
    wallet(bench, "900")
    bench.venue.fills = None
    for _ in range(8):
        look(bench)
        bench.wait(60)

    assert "ACTIVE" == bench.mode
    assert "ok" == status(bench)


def unread(bench: Bench) -> None:
    """The whole round is answered, except for the wallet."""
    bench.venue.silent = True
    look(bench)
    while not any(isinstance(r, QueryBalances) for r in bench.venue.sent):
        for query in bench.venue.sent:
            if isinstance(query, QueryFills | QueryOpenOrders):
                bench.say(bench.venue._answer(query))
    [query] = [r for r in bench.venue.sent if isinstance(r, QueryBalances)]
    bench.venue.sent.clear()
    result = facts.Unavailable("503")
    bench.say(facts.BalancesAnswer(request_id=query.request_id, result=result))
    bench.venue.silent = False


def test_three_unverified_reads_in_a_row_degrade_and_one_success_resets(bench: Bench) -> None:
    bench.venue.sent.clear()
    for _ in range(2):
        unread(bench)
    look(bench)
    bench.venue.sent.clear()
    for _ in range(2):
        unread(bench)
    assert "ACTIVE" == bench.mode
    unread(bench)
    assert "DEGRADED" == bench.mode
    look(bench)
    assert "ACTIVE" == bench.mode


def test_an_outage_of_everything_degrades_too_and_never_halts(bench: Bench) -> None:
    bench.venue.silent = True
    bench.wait(1_200)
    assert "DEGRADED" == bench.mode
    assert ["wallet_truth"] == list(bench.engine.books.mode.sources)
    bench.venue.silent = False
    bench.wait(120)
    assert "ACTIVE" == bench.mode


def test_books_that_moved_while_the_question_was_out_are_not_compared(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.venue.sent.clear()
    bench.venue.silent = True
    look(bench)
    while not any(isinstance(r, QueryBalances) for r in bench.venue.sent):
        for query in bench.venue.sent:
            if isinstance(query, QueryFills | QueryOpenOrders):
                bench.venue.open = {"a": reported()}
                bench.say(bench.venue._answer(query))
    [query] = [r for r in bench.venue.sent if isinstance(r, QueryBalances)]
    bench.fill("t1", "10")
    old = Found({"USD": D(1000), "XRP": D(1000)})
    bench.say(facts.BalancesAnswer(request_id=query.request_id, result=old))

    assert {} == bench.engine.books.reconciler.truth.suspected


def test_the_question_leaves_only_when_what_it_is_compared_with_is_durable(bench: Bench) -> None:
    bench.place()
    bench.accept()
    seen: list[bool] = []
    conn = bench.engine.reader.conn

    class Watch:
        name = "watch"

        def send(self, request: object) -> None:
            if isinstance(request, QueryBalances):
                sql = "SELECT count(*) FROM journal WHERE type = 'OrderFilled'"
                [(durable,)] = conn.execute(sql).fetchall()
                seen.append(durable == len(bench.order().trades or {}))
            bench.venue.send(request)  # type: ignore[arg-type]

    bench.engine.release.gateway = Watch()
    bench.venue.open = {"a": reported()}
    bench.venue.fills = [fill("t1", "4")]
    look(bench)

    assert [True] == seen


# --------------------------------------------------------------------- accepted by the operator


def begin_divergent(tmp_path: Path, *, accept: bool) -> Bench:
    bench = Bench(tmp_path)
    bench.kill()
    bench.accept_divergence = accept
    bench.venue.open = None
    bench.start()
    wallet(bench, "900")
    bench.venue.open = {}
    bench.wait(10)
    return bench


def test_a_start_on_divergent_books_is_refused(tmp_path: Path) -> None:
    bench = begin_divergent(tmp_path, accept=False)
    assert ("HALTED", "truth_divergence") == (bench.mode, bench.engine.books.mode.halt_reason)


def test_what_was_accepted_does_not_halt_and_a_change_of_it_does(tmp_path: Path) -> None:
    bench = begin_divergent(tmp_path, accept=True)
    assert "DEGRADED" == bench.mode
    [event] = [e for e in bench.events(ev.BooksCompared) if e.accepted]
    assert {"USD": "-100"} == event.deltas
    bench.wait(700)
    assert ("DEGRADED", "warn") == (bench.mode, status(bench))

    wallet(bench, "800")
    bench.wait(500)
    assert ("HALTED", "halt") == (bench.mode, status(bench))
    bench.proven()


def test_what_was_accepted_is_accepted_for_one_session(tmp_path: Path) -> None:
    bench = begin_divergent(tmp_path, accept=True)
    bench.kill()
    bench.accept_divergence = False
    bench.venue.open = None
    bench.start()
    wallet(bench, "900")
    bench.venue.open = {}
    bench.wait(10)

    assert "HALTED" == bench.mode


def test_an_accepted_divergence_that_is_repaired_recovers(tmp_path: Path) -> None:
    bench = begin_divergent(tmp_path, accept=True)
    wallet(bench)
    bench.wait(130)

    assert ("ACTIVE", "ok") == (bench.mode, status(bench))


# ---------------------------------------------------------------------- traded away by somebody


def stuck(bench: Bench, count: int = 3) -> None:
    """An exit that the venue refuses, again and again."""
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    refuse(bench, count)


def refuse(bench: Bench, count: int = 1) -> None:
    for _ in range(count):
        for exit_ in bench.exits():
            name = exit_.client_order_id
            if bench.order(name).is_live:
                bench.say(facts.OrderRejected(client_order_id=name, reason="insufficient balance"))
        bench.wait(1)


def test_a_position_that_was_sold_by_hand_is_closed_and_not_retried(tmp_path: Path) -> None:
    bench = Bench(tmp_path, opening={"USD": D(1000)})
    wallet(bench, "1005", "0")
    stuck(bench, 6)

    position = bench.position()
    assert (PositionState.CLOSED, D(0)) == (position.state, position.qty)
    assert "closed_externally" in bench.events(ev.PositionChanged)[-1].flags
    assert "closed_externally" in [e.kind for e in bench.events(ev.AnomalyRecorded)]
    assert "DEGRADED" == bench.mode
    before = len(bench.exits())
    bench.wait(120)
    assert before == len(bench.exits())
    bench.proven()


def test_a_part_that_was_sold_by_hand_leaves_an_exit_for_the_rest(tmp_path: Path) -> None:
    bench = Bench(tmp_path, opening={"USD": D(1000)})
    wallet(bench, "995", "6")
    stuck(bench, 6)

    position = bench.position()
    assert (PositionState.EXIT_PENDING, D(6)) == (position.state, position.qty)
    bench.wait(30)
    assert D(6) == bench.exits()[-1].qty
    bench.proven()


def test_a_refused_exit_of_what_is_there_is_tried_on(bench: Bench) -> None:
    stuck(bench, 6)

    assert PositionState.EXIT_PENDING is bench.position().state
    assert D(10) == bench.position().qty


def test_a_margined_position_that_is_gone_is_closed_and_netted(tmp_path: Path) -> None:
    spec = evolve(BITCOIN, name=SPOT.name, base="XRP", quote="USD", qty_step=D("0.001"))
    bench = Bench(tmp_path, instrument=spec)
    stuck(bench, 8)

    assert PositionState.CLOSED is bench.position().state
    assert D(0) == bench.engine.world.ledger.net(SPOT.name).qty
    bench.wait(65)
    assert "ok" == status(bench)
    assert "DEGRADED" == bench.mode
    bench.proven()
