"""What the venue ends by itself: payouts of any value, liquidations, trades by hand, each once."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest
from attrs import evolve

from actors import messages as msg
from actors.strategies.base import Signal
from fsm import events as ev
from fsm import facts
from fsm.instrument import Instrument
from fsm.position import PositionState
from fsm.requests import Submit
from fsm.vocabulary import ExitReason, FillStatus, InstrumentKind, OrderType, PnlSource, Side
from tests.unit.engine.handmade import PAIR, Bench, fill

D = Decimal
WINDOW = Instrument(
    name=PAIR,
    base="YES",
    quote="USD",
    kind=InstrumentKind.BINARY,
    qty_step=D("0.0001"),
    min_qty=D("0.01"),
)
PERP = Instrument(
    name=PAIR, base="XRP", quote="USD", kind=InstrumentKind.PERPETUAL, max_leverage=D(10)
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, instrument=WINDOW, opening={"USD": D(1000)})


@pytest.fixture
def perp(tmp_path: Path) -> Bench:
    return Bench(tmp_path, instrument=PERP, opening={"USD": D(1000)})


def opened(bench: Bench, name: str = "a", qty: str = "10", price: str = "0.4") -> None:
    bench.place(name, qty=D(qty), limit_price=D(price))
    bench.accept(name)
    bench.fill(f"t-{name}", qty, name, price=D(price))


def resolve(bench: Bench, payout: str, **fields: str) -> None:
    bench.say(facts.InstrumentResolved(instrument=PAIR, payout=D(payout), **fields))


def total(bench: Bench, asset: str) -> Decimal:
    return bench.engine.world.ledger.balance(asset).total


def figures(bench: Bench) -> tuple[Decimal, Decimal, Decimal]:
    """Cash, shares, realized PnL of the account; the positions' sum is the same."""
    ledger = bench.engine.world.ledger
    bench.engine.writer.project_all()
    rows = bench.engine.reader.conn.execute("SELECT realized_pnl FROM positions").fetchall()
    assert ledger.realized_pnl == sum((D(row[0]) for row in rows), D(0))
    return total(bench, "USD"), total(bench, "YES"), ledger.realized_pnl


@pytest.mark.parametrize(
    ("payout", "cash", "realized"),
    [("1", "1006", "6"), ("0", "996", "-4"), ("0.5", "1001", "1"), ("0.25", "998.5", "-1.5")],
)
def test_any_payout_settles_the_window_once(
    bench: Bench, payout: str, cash: str, realized: str
) -> None:
    opened(bench)
    resolve(bench, payout)
    resolve(bench, payout, resolution_id="told again")
    assert (D(cash), D(0), D(realized)) == figures(bench)
    bench.restart()
    resolve(bench, payout)

    assert (D(cash), D(0), D(realized)) == figures(bench)
    position = bench.position()
    assert (PositionState.CLOSED, PnlSource.EXCHANGE) == (position.state, position.pnl_source)
    (settled,) = bench.events(ev.InstrumentSettled)
    assert (D(10), D(10) * D(payout)) == (settled.qty, settled.cash)
    bench.proven()


def test_each_position_settles_by_its_own_basis_and_cash_moves_once(bench: Bench) -> None:
    opened(bench, "a", "10", "0.4")
    opened(bench, "b", "20", "0.7")
    resolve(bench, "0.5")
    assert D(1) == bench.position("a").realized_pnl
    assert D(-4) == bench.position("b").realized_pnl
    assert (D(1000) - 4 - 14 + 15, D(0), D(-3)) == figures(bench)
    assert 1 == len(bench.events(ev.InstrumentSettled))
    bench.proven()


def test_shares_outside_of_every_position_pay_out_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, instrument=WINDOW, opening={"USD": D(1000), "YES": D(7)})
    opened(bench)
    resolve(bench, "1")
    assert (D(1000) - 4 + 17, D(0), D(6)) == figures(bench)
    (settled,) = bench.events(ev.InstrumentSettled)
    assert D(17) == settled.qty


def test_a_position_that_is_being_left_is_resolved_and_its_exit_taken_back(bench: Bench) -> None:
    opened(bench)
    bench.quote("0.5", "0.6")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    (leave,) = bench.exits()
    bench.say(facts.OrderAccepted(client_order_id=leave.client_order_id, venue_order_id="V-x"))
    resolve(bench, "1")
    bench.wait(30)

    assert PositionState.CLOSED is bench.position().state
    assert [leave] == bench.exits()
    bench.say(facts.OrderExpired(client_order_id=leave.client_order_id, venue_order_id="V-x"))
    assert "EXPIRED" == bench.order(leave.client_order_id).state
    assert (D(1006), D(0), D(6)) == figures(bench)
    bench.proven()


def test_an_exit_that_has_not_left_yet_never_leaves(bench: Bench) -> None:
    opened(bench)
    bench.quote("0.5", "0.6")
    bench.engine.inbox.command(msg.Ask(msg.RequestExit("a", ExitReason.OPERATOR), "test"))
    bench.engine.inbox.facts.offer(facts.InstrumentResolved(instrument=PAIR, payout=D(1)))
    bench.simulation.settle()
    cancelled = {r.client_order_id for r in bench.venue.sent if not isinstance(r, Submit)
                 and hasattr(r, "client_order_id")}  # fmt: skip
    sent = {submit.client_order_id for submit in bench.exits()}
    assert sent <= cancelled  # one that left before was taken back
    assert PositionState.CLOSED is bench.position().state


def test_entries_are_taken_back_and_nothing_new_is_placed(bench: Bench) -> None:
    bench.place("a", limit_price=D("0.4"))
    bench.accept("a")
    resolve(bench, "1")
    assert "CANCELLED_BY_ENGINE" == bench.order("a").state
    bench.say(facts.OrderExpired(client_order_id="a", venue_order_id="V-a"))
    assert PositionState.CLOSED is bench.position().state
    bench.place("b", limit_price=D("0.4"))
    assert "XRP/USD is resolved" in str(bench.answers[-1]["error"])
    bench.restart()
    bench.place("c", limit_price=D("0.4"))
    assert "XRP/USD is resolved" in str(bench.answers[-1]["error"])


@pytest.mark.parametrize("resolved", [False, True])
def test_the_door_lets_no_signal_onto_what_has_paid_out(bench: Bench, resolved: bool) -> None:
    if resolved:
        resolve(bench, "1")
    bench.quote("0.4", "0.41")
    bench.tell(msg.RaiseSignal(Signal(side=Side.BUY, qty=D(10)), "alpha", PAIR))
    (decided,) = bench.events(ev.SignalDecided)
    refused = [check.value for check in decided.checks if not check.passed]
    assert (not resolved, [PAIR] if resolved else []) == (decided.approved, refused)
    assert len(bench.submits()) == (0 if resolved else 1)


@pytest.mark.parametrize("restart", [False, True])
def test_a_fill_that_comes_after_the_payout_is_booked_and_pays_out(
    bench: Bench, restart: bool
) -> None:
    bench.place("a", limit_price=D("0.4"))
    bench.accept("a")
    bench.fill("t1", "4", price=D("0.4"))
    resolve(bench, "1")
    if restart:
        bench.restart()
    bench.fill("t2", "6", price=D("0.3"))
    bench.fill("t2", "6", price=D("0.3"))

    assert (D(1000) - D("1.6") - D("1.8") + 10, D(0), D("2.4") + D("4.2")) == figures(bench)
    assert PositionState.CLOSED is bench.position().state
    assert [False, True] == [event.late for event in bench.events(ev.InstrumentSettled)]
    assert [] == bench.exits()
    bench.proven()


def test_the_first_fill_of_an_entry_may_come_after_the_payout(bench: Bench) -> None:
    bench.place("a", limit_price=D("0.4"))
    bench.accept("a")
    resolve(bench, "0")
    bench.fill("t1", "10", price=D("0.4"))
    assert (D(996), D(0), D(-4)) == figures(bench)
    assert PositionState.CLOSED is bench.position().state
    assert [] == bench.exits()
    bench.proven()


def test_a_late_exit_fill_and_late_dust_settle_too(bench: Bench) -> None:
    opened(bench)
    bench.quote("0.5", "0.6")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    (leave,) = bench.exits()
    resolve(bench, "1")
    bench.fill("x1", "4", leave.client_order_id, price=D("0.5"))
    assert (D(996) + 10 + 2 - 4, D(0), D(6) - 2) == figures(bench)
    bench.fill("x2", "0.005", leave.client_order_id, price=D("0.5"))
    assert (D("1003.9975"), D(0), D("3.9975")) == figures(bench)
    assert D(0) == bench.position().qty
    assert PositionState.CLOSED is bench.position().state
    bench.proven()


@pytest.mark.parametrize("restart", [False, True])
def test_a_provisional_fill_settles_and_its_void_takes_just_that_back(
    bench: Bench, restart: bool
) -> None:
    bench.place("a", limit_price=D("0.9"))
    bench.accept("a")
    bench.fill("t1", "4", price=D("0.3"))
    bench.fill("t2", "6", price=D("0.7"), status=FillStatus.PROVISIONAL)
    resolve(bench, "1")
    if restart:
        bench.restart()
    void = facts.FillVoided(trade_id="t2", client_order_id="a")
    bench.say(void)
    bench.say(void)

    # As if only the first fill had ever been.
    assert (D(1000) - D("1.2") + 4, D(0), D("2.8")) == figures(bench)
    assert PositionState.CLOSED is bench.position().state
    bench.proven()


@pytest.mark.parametrize("restart_after", [None, 3])
@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_in_whatever_order_it_is_told_the_figures_are_the_same(
    bench: Bench, order: tuple[int, ...], restart_after: int | None
) -> None:
    told = [
        fill("t1", "4", price=D("0.3")),
        fill("t2", "6", price=D("0.7"), status=FillStatus.PROVISIONAL),
        facts.FillVoided(trade_id="t2", client_order_id="a"),
        facts.InstrumentResolved(instrument=PAIR, payout=D("0.9")),
    ]
    bench.place("a", limit_price=D("0.9"))
    bench.accept("a")
    for number, which in enumerate(order, start=1):
        bench.say(told[which])
        if number == restart_after:
            bench.restart()
    for fact in told:
        bench.say(fact)  # and once more

    assert (D(1000) - D("1.2") + D("3.6"), D(0), D("2.4")) == figures(bench)
    assert [] == bench.exits()
    bench.say(facts.OrderExpired(client_order_id="a", venue_order_id="V-a"))
    assert PositionState.CLOSED is bench.position().state
    bench.proven()


def test_evidence_takes_the_place_of_a_fill_without_a_name_after_the_payout(bench: Bench) -> None:
    bench.place("a", limit_price=D("0.9"))
    bench.accept("a")
    bench.fill(None, "10", price=D("0.4"))
    resolve(bench, "1")
    bench.say(evolve(fill("t1", "10", price=D("0.4")), fetched=True))
    assert (D(1006), D(0), D(6)) == figures(bench)
    bench.say(facts.FillVoided(trade_id="t1", client_order_id="a"))
    assert (D(1000), D(0), D(0)) == figures(bench)
    assert PositionState.CLOSED is bench.position().state
    bench.proven()


def test_another_payout_for_the_same_window_is_an_anomaly_and_books_nothing(bench: Bench) -> None:
    opened(bench)
    resolve(bench, "1")
    before = figures(bench)
    resolve(bench, "0")
    resolve(bench, "0")
    bench.restart()
    resolve(bench, "0")
    assert before == figures(bench)
    kinds = [event.kind for event in bench.events(ev.AnomalyRecorded)]
    assert 1 == kinds.count("resolved_differently")
    bench.proven()


@pytest.mark.parametrize(
    ("instrument", "payout", "words"),
    [
        ("NOBODY", "1", "no instrument NOBODY"),
        (PAIR, "1.5", "1.5 is no payout of a binary instrument"),
        (PAIR, "-0.1", "-0.1 is no payout of a binary instrument"),
    ],
)
def test_a_resolution_that_fits_nothing_is_unresolved(
    bench: Bench, instrument: str, payout: str, words: str
) -> None:
    opened(bench)
    before = figures(bench)
    for _ in range(2):
        bench.say(facts.InstrumentResolved(instrument=instrument, payout=D(payout)))
    (kept,) = bench.events(ev.FactUnresolved)
    assert words == kept.reason
    assert before == figures(bench)


def test_a_margined_instrument_settles_at_its_last_price(perp: Bench) -> None:
    perp.place(qty=D(10), side=Side.SELL, limit_price=D(2), leverage=D(3))
    perp.accept()
    perp.fill("t1", "10", price=D(2))
    resolve(perp, "1.5")
    ledger = perp.engine.world.ledger
    assert (D(1005), D(5), D(0)) == (total(perp, "USD"), ledger.realized_pnl, ledger.margin_used)
    assert D(0) == ledger.net(PAIR).qty
    perp.proven()


# ------------------------------------------------------------------------------------- closings


def close(bench: Bench, **fields: object) -> None:
    given = {"position_id": "a", "reason": "liquidation", "trade_id": "L1"} | fields
    bench.say(facts.PositionClosed(**given))  # type: ignore[arg-type]


def short(bench: Bench) -> None:
    bench.place(qty=D(10), side=Side.SELL, limit_price=D(2))
    bench.accept()
    bench.fill("t1", "10", price=D(2))


@pytest.mark.parametrize(
    ("reason", "cause"),
    [("liquidation", "liquidation"), ("adl", "adl"), ("manual", "manual_trade")],
)
def test_a_closing_is_booked_once_at_its_price_with_its_fee(
    perp: Bench, reason: str, cause: str
) -> None:
    short(perp)
    for _ in range(2):
        close(perp, reason=reason, price=D("2.5"), fee=D("0.5"))
    assert "closed_externally" in perp.engine.world.sources
    perp.restart()
    close(perp, reason=reason, price=D("2.5"), fee=D("0.5"))

    position, ledger = perp.position(), perp.engine.world.ledger
    assert (PositionState.CLOSED, D(-5), D("0.5")) == (
        position.state, position.realized_pnl, position.fees,
    )  # fmt: skip
    assert (D("994.5"), D(-5), D("0.5")) == (
        total(perp, "USD"), ledger.realized_pnl, ledger.fees_paid,
    )  # fmt: skip
    changes = [event.cause for event in perp.events(ev.PositionChanged)]
    assert ["entry_fill", cause] == changes
    assert [] == perp.events(ev.FactUnresolved)
    assert ["closed_externally"] == [event.kind for event in perp.events(ev.AnomalyRecorded)]
    perp.proven()


@pytest.mark.parametrize("restart", [False, True])
def test_a_closing_without_a_price_books_nothing_until_its_figures_come(
    perp: Bench, restart: bool
) -> None:
    short(perp)
    close(perp)
    assert (D(0), D(0), D(1000)) == (
        perp.position().qty, perp.position().realized_pnl, total(perp, "USD"),
    )  # fmt: skip
    (_, changed) = perp.events(ev.PositionChanged)
    assert ("closed_externally", "realized_skipped_no_price") == changed.flags
    if restart:
        perp.restart()
    settled = facts.FillSettled(trade_id="L1", realized_pnl=D(-5), fee=D(1))
    perp.say(settled)
    perp.say(settled)
    assert (D(-5), D(1)) == (perp.position().realized_pnl, perp.position().fees)
    assert D(994) == total(perp, "USD")
    assert [] == perp.events(ev.FactUnresolved)
    perp.proven()


@pytest.mark.parametrize("restart", [False, True])
def test_a_closing_that_was_faster_than_its_fill_waits_for_it(perp: Bench, restart: bool) -> None:
    perp.place(qty=D(10), side=Side.SELL, limit_price=D(2))
    perp.accept()
    close(perp, price=D("2.5"))
    close(perp, price=D("2.5"))
    assert 1 == len(perp.events(ev.FactUnresolved))
    if restart:
        perp.restart()  # nobody waits any more: it counts when it is told again
    perp.fill("t1", "10", price=D(2))
    close(perp, price=D("2.5"))
    close(perp, price=D("2.5"))

    assert (D(0), D(-5)) == (perp.position().qty, perp.position().realized_pnl)
    assert D(995) == total(perp, "USD")
    (placed,) = perp.events(ev.FactResolved)
    assert "position/a" == placed.resolved_as
    assert {} == perp.engine.books.unresolved
    perp.proven()


def test_figures_that_may_mean_two_closings_are_kept_and_repair_neither(perp: Bench) -> None:
    short(perp)
    perp.place("b", qty=D(10), side=Side.SELL, limit_price=D(2))
    perp.fill("t2", "10", "b", price=D(2))
    close(perp)
    close(perp, position_id="b")
    perp.say(facts.FillSettled(trade_id="L1", realized_pnl=D(-5)))
    assert (D(0), D(1000)) == (perp.engine.world.ledger.realized_pnl, total(perp, "USD"))
    assert ["FillSettled"] == [event.fact for event in perp.events(ev.FactUnresolved)]
    perp.proven()


def test_the_same_figures_twice_in_one_moment_repair_once(perp: Bench) -> None:
    short(perp)
    close(perp)
    settled = facts.FillSettled(trade_id="L1", realized_pnl=D(-5))
    perp.say(settled, settled)
    assert (D(-5), D(995)) == (perp.engine.world.ledger.realized_pnl, total(perp, "USD"))
    assert [] == perp.events(ev.FactUnresolved)
    perp.proven()


def test_a_closed_crumb_pays_out_as_what_the_account_holds_outside_of_positions(
    bench: Bench,
) -> None:
    opened(bench)
    bench.quote("0.5", "0.6")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    (leave,) = bench.exits()
    bench.fill("x1", "9.995", leave.client_order_id, price=D("0.5"))
    bench.say(facts.OrderExpired(client_order_id=leave.client_order_id))
    assert (PositionState.CLOSED, D("0.005")) == (bench.position().state, bench.position().qty)
    resolve(bench, "1")
    assert (D("1001.0025"), D(0), D("0.9995")) == figures(bench)
    bench.proven()


def test_working_orders_of_a_closed_position_are_taken_back_by_the_engine(perp: Bench) -> None:
    short(perp)
    perp.quote("1.9", "2")
    perp.do(msg.RequestExit("a", ExitReason.OPERATOR))
    (leave,) = perp.exits()
    perp.say(facts.OrderAccepted(client_order_id=leave.client_order_id, venue_order_id="V-x"))
    close(perp, price=D("2.5"))
    assert "CANCELLED_BY_ENGINE" == perp.order(leave.client_order_id).state
    perp.say(facts.OrderCanceled(client_order_id=leave.client_order_id, venue_order_id="V-x"))
    assert PositionState.CLOSED is perp.position().state
    assert [leave] == perp.exits()
    perp.proven()


def test_a_part_that_was_deleveraged_leaves_the_rest_to_an_exit_of_its_size(perp: Bench) -> None:
    short(perp)
    perp.quote("1.9", "2")
    perp.do(msg.RequestExit("a", ExitReason.OPERATOR))
    (leave,) = perp.exits()
    perp.say(facts.OrderAccepted(client_order_id=leave.client_order_id, venue_order_id="V-x"))
    close(perp, reason="adl", qty=D(4), price=D("1.5"))
    assert (D(-6), D(2)) == (perp.position().qty, perp.position().realized_pnl)
    perp.say(facts.OrderCanceled(client_order_id=leave.client_order_id, venue_order_id="V-x"))
    assert [D(10), D(6)] == [submit.qty for submit in perp.exits()]
    perp.proven()


def test_a_spot_position_that_was_sold_by_hand_brings_its_cash(bench: Bench) -> None:
    opened(bench)
    close(bench, reason="manual", price=D("0.6"), trade_id=None)
    assert (D(1002), D(0), D(2)) == figures(bench)
    bench.proven()


def test_a_spot_position_sold_without_a_price_brings_its_cash_with_the_figures(
    bench: Bench,
) -> None:
    opened(bench)
    close(bench, reason="manual")
    assert (D(996), D(0), D(0)) == figures(bench)
    bench.say(facts.FillSettled(trade_id="L1", realized_pnl=D(2), fee=D("0.5")))
    assert (D("1001.5"), D(0), D(2)) == figures(bench)
    bench.proven()


@pytest.mark.parametrize("wallet_first", [False, True])
@pytest.mark.parametrize("how", ["closed", "settled", "resolved"])
def test_a_wallet_figure_that_holds_it_already_is_not_added_to(
    perp: Bench, how: str, wallet_first: bool
) -> None:
    short(perp)
    at_us = perp.clock.now_us()
    if how == "settled":
        close(perp, fee=D(0), venue_us=at_us - 10)
    perp.venue.silent = True  # no comparison sets the figure right again
    told: list[facts.VenueMessage] = [
        facts.BalanceReport(asset="USD", total=D(995), venue_us=at_us + 5),
        {
            "closed": facts.PositionClosed(
                position_id="a", reason="liquidation", price=D("2.5"), trade_id="L1", venue_us=at_us
            ),
            "settled": facts.FillSettled(trade_id="L1", realized_pnl=D(-5), venue_us=at_us),
            "resolved": facts.InstrumentResolved(instrument=PAIR, payout=D("2.5"), venue_us=at_us),
        }[how],
    ]
    perp.say(*(told if wallet_first else reversed(told)))
    ledger = perp.engine.world.ledger
    assert (D(995), D(995)) == (ledger.capital, total(perp, "USD"))
    assert D(0) == ledger.funds.drift
    perp.proven()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"position_id": "none"}, "no position none"),
        ({"position_id": None}, "no single open position"),
        ({"position_id": None, "instrument": PAIR}, "no single open position"),
        ({"position_id": "b"}, "nothing is open of b"),
        ({"instrument": "OTHER"}, f"position/a is one of {PAIR}"),
        ({"qty": D(0)}, "closes a quantity of 0"),
    ],
)
def test_a_closing_that_fits_no_open_position_is_unresolved(
    bench: Bench, fields: dict[str, object], words: str
) -> None:
    opened(bench)
    opened(bench, "c")
    bench.place("b", limit_price=D("0.4"), type=OrderType.LIMIT)
    before = figures(bench)
    for _ in range(2):
        close(bench, **fields)
    (kept,) = bench.events(ev.FactUnresolved)
    assert words == kept.reason
    assert before == figures(bench)
    bench.proven()


def test_the_only_open_position_of_an_instrument_is_the_one_that_is_meant(bench: Bench) -> None:
    opened(bench)
    close(bench, position_id=None, instrument=PAIR, price=D("0.6"))
    assert PositionState.CLOSED is bench.position().state


def test_an_execution_of_an_unknown_type_is_kept_and_changes_nothing(bench: Bench) -> None:
    opened(bench)
    before = figures(bench)
    report = facts.UnknownExecution(execution_type="INSURANCE", client_order_id="a", text="7 USD")
    bench.say(report)
    bench.say(report)
    (kept,) = bench.events(ev.FactUnresolved)
    assert "execution type 'INSURANCE' is not known" == kept.reason
    assert before == figures(bench)


def test_a_fill_that_is_told_again_after_the_payout_pays_nothing(bench: Bench) -> None:
    opened(bench)
    resolve(bench, "0.5")
    bench.say(fill("t-a", "10", "a", price=D("0.4")))
    assert 1 == len(bench.events(ev.InstrumentSettled))
