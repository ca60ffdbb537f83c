"""A position's arithmetic, protection and its one exit, played against a venue told by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from actors import messages as msg
from fsm import events as ev
from fsm import facts
from fsm.instrument import Instrument
from fsm.order import OrderState
from fsm.position import PositionState
from fsm.vocabulary import ExitReason, InstrumentKind, OrderType, PnlSource, Side
from tests.unit.engine.handmade import PAIR, SPOT, Bench

D = Decimal
S = PositionState
SWAP = Instrument(
    name=PAIR, base="XRP", quote="USD", kind=InstrumentKind.PERPETUAL,
    price_tick=D("0.0001"), qty_step=D("1"), max_leverage=D(5),
)  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def opened(bench: Bench, qty: str = "10", **fields: Any) -> None:
    bench.place(qty=D(qty), **fields)
    bench.accept()
    bench.fill("t1", qty)


def leave(bench: Bench, reason: ExitReason = ExitReason.OPERATOR) -> str:
    bench.do(msg.RequestExit("a", reason))
    return bench.exits()[-1].client_order_id


# -------------------------------------------------------------------------------- P01, with numbers


def short(tmp_path: Path, leverage: str = "3", *prices: str) -> Bench:
    bench = Bench(tmp_path, instrument=SWAP)
    bench.place(
        side=Side.SELL,
        qty=D(202_276),
        type=OrderType.MARKET,
        limit_price=None,
        leverage=D(leverage),
    )
    bench.accept()
    first, second = prices or ("0.1878", "0.1878")
    bench.fill("e1", "195259", price=D(first))
    bench.fill("e2", "7017", price=D(second))
    return bench


def test_p01a_a_clean_exit_price_realizes_242_7312_whatever_the_leverage(tmp_path: Path) -> None:
    realized = set()
    for leverage in ("1", "3"):
        folder = tmp_path / leverage
        folder.mkdir()
        bench = short(folder, leverage)
        exit_id = leave(bench)
        bench.fill("x1", "26007", exit_id, price=D("0.1866"))
        bench.fill("x2", "176269", exit_id, price=D("0.1866"))
        position = bench.position()
        assert S.CLOSED is position.state
        realized.add((position.realized_pnl, bench.engine.world.ledger.totals["USD"]))
        bench.proven()

    assert {(D("242.7312"), D("1242.7312"))} == realized


@pytest.mark.parametrize("restarts", [False, True], ids=["p01b", "p01c"])
def test_p01bc_without_a_true_price_nothing_is_booked_until_the_settlement_does_once(
    tmp_path: Path, restarts: bool
) -> None:
    bench = short(tmp_path)
    exit_id = leave(bench)
    bench.fill("x1", "202276", exit_id, price=None, order_price=D("0.229"))
    assert D(0) == bench.position().realized_pnl
    flags = [e.flags for e in bench.events(ev.PositionChanged)][-1]
    assert "realized_skipped_no_price" in flags
    settled = facts.FillSettled(trade_id="x1", client_order_id=exit_id, realized_pnl=D(164))
    for _ in range(3):
        bench.say(settled)
        if restarts:
            bench.venue.open = None
            bench.restart()

    position = bench.position()
    assert (D(164), PnlSource.EXCHANGE) == (position.realized_pnl, position.pnl_source)
    assert D(1164) == bench.engine.world.ledger.totals["USD"]
    assert D(164) == bench.engine.world.ledger.realized_pnl
    bench.proven()


def test_p01c_a_restart_in_the_middle_settles_only_the_increment(tmp_path: Path) -> None:
    bench = short(tmp_path)
    exit_id = leave(bench)
    bench.fill("x1", "26007", exit_id, price=D("0.1866"))
    before = bench.position().realized_pnl
    bench.venue.open = None
    bench.restart()
    bench.fill("x1", "26007", exit_id, price=D("0.1866"))
    assert before == bench.position().realized_pnl == D("31.2084")
    bench.fill("x2", "176269", exit_id, price=D("0.1866"))

    assert D("242.7312") == bench.position().realized_pnl


def test_p01d_two_entry_prices_make_one_basis_by_volume(tmp_path: Path) -> None:
    bench = short(tmp_path, "3", "0.1878", "0.1900")
    value = D(195_259) * D("0.1878") + D(7_017) * D("0.19")
    assert abs(value / D(202_276) - (bench.position().basis or D(0))) < D("1e-20")
    exit_id = leave(bench)
    bench.fill("x1", "202276", exit_id, price=D("0.1866"))

    gross = value - D(202_276) * D("0.1866")
    assert abs(gross - bench.position().realized_pnl) < D("1e-15")


# ------------------------------------------------------------------------------------- quantity


def test_a_partial_exit_keeps_the_basis_and_the_rest_stays_covered(bench: Bench) -> None:
    opened(bench)
    exit_id = leave(bench)
    bench.accept(exit_id)
    bench.fill("x1", "4", exit_id, price=D("1.5"))
    position = bench.position()

    assert (D(6), D(1), D(2)) == (position.qty, position.basis, position.realized_pnl)
    assert 1 == len(bench.exits())


def test_an_entry_that_fills_after_the_exit_was_decided_gets_an_exit_of_its_own(
    bench: Bench,
) -> None:
    bench.place()
    bench.accept()
    bench.fill("t1", "4")
    leave(bench)
    bench.fill("t2", "2")

    assert [D(4), D(2)] == [exit_.qty for exit_ in bench.exits()]
    assert OrderState.CANCELLED_BY_ENGINE is bench.order().state


def test_an_exit_that_fills_too_much_is_traded_back(bench: Bench) -> None:
    opened(bench)
    exit_id = leave(bench)
    bench.fill("x1", "12", exit_id)
    back = bench.exits()[-1]

    assert D(-2) == bench.position().qty
    assert (Side.BUY, D(2)) == (back.side, back.qty)
    bench.fill("x2", "2", back.client_order_id)
    assert S.CLOSED is bench.position().state
    bench.proven()


def test_a_void_shrinks_what_is_open_and_the_exit_with_it(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.fill("t1", "6")
    bench.fill("t2", "4")
    exit_id = leave(bench)
    bench.accept(exit_id)
    bench.say(facts.FillVoided(trade_id="t2", client_order_id="a"))
    assert 1 == bench.cancels(exit_id)
    assert 1 == len(bench.exits())
    bench.say(facts.OrderCanceled(client_order_id=exit_id))

    assert [D(10), D(6)] == [exit_.qty for exit_ in bench.exits()]
    bench.proven()


def test_a_residual_below_the_minimum_or_the_step_ends_as_dust(tmp_path: Path) -> None:
    for number, spec in enumerate((SPOT, evolve(SPOT, min_qty=D(0), qty_step=D("0.01")))):
        folder = tmp_path / str(number)
        folder.mkdir()
        bench = Bench(folder, instrument=spec)
        opened(bench, "10.0023")
        exit_id = leave(bench)
        sold = bench.exits()[-1].qty
        bench.fill("x1", str(sold), exit_id)
        position = bench.position()

        assert (S.CLOSED, D("10.0023") - sold) == (position.state, position.qty)
        assert 0 < position.qty
        bench.wait(60)
        assert 1 == len(bench.exits())


def test_a_quantity_of_zero_or_less_is_no_fill(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.fill("t1", "0")
    bench.fill("t2", "-1")

    assert D(0) == bench.position().qty
    assert 2 == len(bench.events(ev.AnomalyRecorded))
    bench.proven()


def test_an_overfill_is_booked_in_full_and_degrades(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.fill("t1", "12")

    assert (D(12), OrderState.FILLED) == (bench.position().qty, bench.order().state)
    assert "DEGRADED" == bench.mode
    bench.proven()


def test_a_fill_without_a_trade_id_counts_once_and_as_itself_after_a_restart(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.fill(None, "4")
    bench.fill(None, "4")
    bench.venue.open = None
    bench.restart()
    bench.fill(None, "4")

    assert D(4) == bench.position().qty
    assert ev.OrderFilled.__name__ == type(bench.events(ev.OrderFilled)[0]).__name__


def test_the_same_trade_id_on_two_orders_is_two_trades(bench: Bench) -> None:
    bench.place()
    bench.place("b")
    bench.fill("t1", "4")
    bench.fill("t1", "4", "b")

    assert (D(4), D(4)) == (bench.position().qty, bench.position("b").qty)


# --------------------------------------------------------------------------- protection and exits


def test_a_higher_reason_escalates_and_a_lower_one_is_ignored(bench: Bench) -> None:
    opened(bench)
    leave(bench, ExitReason.TAKE_PROFIT)
    bench.do(msg.RequestExit("a", ExitReason.STRATEGY))
    assert ExitReason.TAKE_PROFIT is bench.position().exit_reason
    bench.do(msg.RequestExit("a", ExitReason.STOP))

    assert ExitReason.STOP is bench.position().exit_reason
    assert 1 == len(bench.exits())


def test_a_quote_without_a_bid_triggers_nothing_and_the_next_one_stops_out(bench: Bench) -> None:
    opened(bench, stop=D("0.9"))
    bench.quote(None, "0.5")
    assert [] == bench.exits()
    bench.quote("0.2", "0.3")

    assert ExitReason.STOP is bench.position().exit_reason


def test_an_older_quote_triggers_nothing(bench: Bench) -> None:
    opened(bench, stop=D("0.9"))
    bench.wait(1)
    bench.quote("1", "1.01")
    tick = bench.engine.world.quote(PAIR)
    assert tick is not None
    bench.engine.inbox.market.offer(evolve(tick, bid=D("0.1"), event_us=tick.event_us - 1))
    bench.simulation.settle()

    assert [] == bench.exits()


def test_the_trailing_stop_only_ever_comes_closer(bench: Bench) -> None:
    opened(bench, trailing=D("0.1"))
    stops = []
    for bid in ("1", "1.2", "1.15", "1.3", "1.25"):
        bench.quote(bid, "2")
        stops.append(bench.position().trail_stop)

    assert [D("0.9"), D("1.1"), D("1.1"), D("1.2"), D("1.2")] == stops


def test_an_expiry_before_the_first_fill_is_latched_for_what_still_fills(bench: Bench) -> None:
    bench.place(expires_in_us=2_000_000)
    bench.accept()
    bench.wait(3)
    assert (S.ENTRY, ExitReason.EXPIRY) == (bench.position().state, bench.position().exit_reason)
    bench.fill("t1", "3")

    assert [D(3)] == [exit_.qty for exit_ in bench.exits()]


def test_a_latched_wish_ends_with_entries_that_die_unfilled(bench: Bench) -> None:
    bench.place(expires_in_us=2_000_000)
    bench.accept()
    bench.wait(3)
    bench.say(facts.OrderCanceled(client_order_id="a"))

    assert S.CLOSED is bench.position().state
    assert [] == bench.exits()


def test_a_slow_exit_climbs_the_ladder_one_proven_death_at_a_time(bench: Bench) -> None:
    opened(bench)
    exit_id = leave(bench)
    bench.accept(exit_id)
    bench.venue.open = None
    bench.wait(4)
    assert (1, 1) == (bench.cancels(exit_id), len(bench.exits()))
    bench.wait(30)
    assert 1 == len(bench.exits())
    bench.say(facts.OrderCanceled(client_order_id=exit_id))

    assert 2 == len(bench.exits())
    assert "DEGRADED" == bench.mode


def test_an_exit_without_an_answer_is_never_doubled(bench: Bench) -> None:
    opened(bench)
    leave(bench)
    bench.wait(250)

    assert 1 == len(bench.exits())


def test_a_venue_that_refuses_every_exit_is_not_hammered_and_never_given_up(bench: Bench) -> None:
    opened(bench)
    leave(bench)
    for _ in range(200):
        for order in bench.engine.world.live_orders():
            bench.say(facts.OrderRejected(client_order_id=order.client_order_id, reason="no"))
        bench.wait(1)

    assert 6 < len(bench.exits()) < 20
    assert "DEGRADED" == bench.mode
    assert S.EXIT_PENDING is bench.position().state
    bench.proven()


def test_two_positions_on_one_instrument_leave_independently(bench: Bench) -> None:
    opened(bench, stop=D("0.9"))
    bench.place("b", stop=D("0.5"))
    bench.fill("t1", "7", "b")
    bench.quote("0.8", "0.81")

    assert [D(10)] == [exit_.qty for exit_ in bench.exits() if exit_.client_order_id != "b"]
    assert S.MONITORING is bench.position("b").state
