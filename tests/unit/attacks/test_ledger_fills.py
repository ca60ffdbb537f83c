"""Fills whose price, fee or profit comes late, twice, in parts, or is taken back: whatever the
order, what the books hold is what the venue did."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from actors import messages as msg
from fsm import events as ev
from fsm import facts
from fsm.instrument import Instrument
from fsm.position import PositionState
from fsm.vocabulary import ExitReason, FillStatus, InstrumentKind
from tests.unit.engine.handmade import PAIR, Bench

D = Decimal
PERP = Instrument(
    name=PAIR, base="XRP", quote="USD", kind=InstrumentKind.PERPETUAL, max_leverage=D(10)
)


@pytest.fixture
def spot(tmp_path: Path) -> Bench:
    return Bench(tmp_path, opening={"USD": D(1000), "XRP": D(0)})


@pytest.fixture
def perp(tmp_path: Path) -> Bench:
    return Bench(tmp_path, instrument=PERP, opening={"USD": D(1000)})


def total(bench: Bench, asset: str) -> Decimal:
    return bench.engine.world.ledger.balance(asset).total


def bought(bench: Bench, qty: str = "10", price: str = "1", name: str = "a") -> None:
    bench.place(name, qty=D(qty), limit_price=D(price))
    bench.accept(name)
    bench.fill(f"t-{name}", qty, name, price=D(price))


def leaving(bench: Bench) -> str:
    """An exit of the position that rests at the venue."""
    bench.quote("2", "2.01")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    name = bench.exits()[-1].client_order_id
    bench.accept(name)
    return name


def settle(bench: Bench, trade_id: str, order_id: str, **figures: Decimal) -> None:
    bench.say(facts.FillSettled(trade_id=trade_id, client_order_id=order_id, **figures))


def void(bench: Bench, trade_id: str, order_id: str) -> None:
    bench.say(facts.FillVoided(trade_id=trade_id, client_order_id=order_id))


def test_an_exit_in_parts_without_prices_brings_the_cash_of_every_settlement(spot: Bench) -> None:
    bought(spot)
    leave = leaving(spot)
    spot.fill("x1", "4", leave, price=None)
    spot.fill("x2", "6", leave, price=None)
    assert PositionState.CLOSED is spot.position().state
    settle(spot, "x1", leave, realized_pnl=D(4))  # sold at 2
    settle(spot, "x2", leave, realized_pnl=D(6))
    assert D(10) == spot.position().realized_pnl
    assert (D(1010), D(0)) == (total(spot, "USD"), total(spot, "XRP"))
    spot.proven()


def test_a_void_after_the_fee_of_an_ended_position_takes_its_profit_back(spot: Bench) -> None:
    bought(spot)
    leave = leaving(spot)
    spot.fill("x1", "10", leave, price=D(2))
    settle(spot, "x1", leave, fee=D("0.1"))
    assert (D(10), D("0.1")) == (spot.position().realized_pnl, spot.position().fees)
    void(spot, "x1", leave)
    position = spot.position()
    assert (D(10), D(1), D(0), D(0)) == (
        position.qty, position.basis, position.realized_pnl, position.fees,
    )  # fmt: skip
    assert (D(990), D(10)) == (total(spot, "USD"), total(spot, "XRP"))
    spot.proven()


def test_the_profit_that_follows_a_settled_fee_is_booked(spot: Bench) -> None:
    bought(spot)
    leave = leaving(spot)
    spot.fill("x1", "10", leave, price=None)
    settle(spot, "x1", leave, fee=D("0.1"))
    settle(spot, "x1", leave, realized_pnl=D(10))
    settle(spot, "x1", leave, realized_pnl=D(10))
    spot.restart()
    settle(spot, "x1", leave, realized_pnl=D(10))
    settle(spot, "x1", leave, fee=D("0.1"))
    assert (D(10), D("0.1")) == (spot.position().realized_pnl, spot.position().fees)
    assert D("1009.9") == total(spot, "USD")
    spot.proven()


def test_the_fee_that_follows_a_settled_profit_is_booked(spot: Bench) -> None:
    bought(spot)
    leave = leaving(spot)
    spot.fill("x1", "10", leave, price=None)
    settle(spot, "x1", leave, realized_pnl=D(10))
    settle(spot, "x1", leave, realized_pnl=D(10), fee=D("0.1"))
    settle(spot, "x1", leave, realized_pnl=D(10), fee=D("0.1"))
    assert (D(10), D("0.1")) == (spot.position().realized_pnl, spot.position().fees)
    assert D("1009.9") == total(spot, "USD")
    spot.proven()


def test_a_fee_in_the_base_asset_that_a_settlement_tells_is_not_held_any_more(
    spot: Bench,
) -> None:
    spot.place()
    spot.accept()
    spot.fill("t1", "10", fee=D("0.1"), fee_asset="XRP")
    settle(spot, "t1", "a", fee=D("0.3"))
    assert (D("9.7"), D("9.7")) == (spot.position().qty, total(spot, "XRP"))
    assert D("0.3") == spot.position().fees
    leave = leaving(spot)
    assert D("9.7") == spot.exits()[-1].qty
    spot.fill("x1", "9.7", leave, price=D(2))
    assert PositionState.CLOSED is spot.position().state
    assert D(0) == total(spot, "XRP")
    spot.proven()


def test_a_void_after_a_settled_fee_in_the_base_asset_leaves_nothing(spot: Bench) -> None:
    spot.place()
    spot.accept()
    spot.fill("t1", "10", fee=D("0.1"), fee_asset="XRP")
    settle(spot, "t1", "a", fee=D("0.3"))
    void(spot, "t1", "a")
    assert (D(0), D(0)) == (spot.position().qty, spot.position().fees)
    assert (D(1000), D(0)) == (total(spot, "USD"), total(spot, "XRP"))
    spot.proven()


@pytest.mark.parametrize("gone", ["10", "20"])
def test_a_void_of_an_entry_that_was_sold_again_keeps_cash_and_profit_together(
    spot: Bench, gone: str
) -> None:
    spot.place(qty=D(20), limit_price=D(2))
    spot.accept()
    spot.fill("t1", "10", price=D(1))
    spot.fill("t2", "10", price=D(2), status=FillStatus.PROVISIONAL)
    leave = leaving(spot)
    spot.fill("x1", gone, leave, price=D(2))
    void(spot, "t2", "a")
    position = spot.position()
    worth = position.qty * (position.basis or D(0))
    assert total(spot, "USD") - 1000 == position.realized_pnl - worth
    spot.proven()


def test_a_fee_without_an_asset_leaves_the_wallet_too(spot: Bench) -> None:
    spot.place()
    spot.accept()
    spot.fill("t1", "10", fee=D("0.5"))
    assert D("0.5") == spot.position().fees
    assert D("989.5") == total(spot, "USD")
    void(spot, "t1", "a")
    assert (D(0), D(1000)) == (spot.position().fees, total(spot, "USD"))
    spot.proven()


def test_an_exit_without_a_price_leaves_the_average_cost(spot: Bench) -> None:
    bought(spot)
    leave = leaving(spot)
    spot.fill("x1", "10", leave, price=None)
    assert {} == spot.engine.world.ledger.inventory.prices()
    void(spot, "x1", leave)
    assert {"XRP": D(1)} == spot.engine.world.ledger.inventory.prices()
    assert D(10) == spot.engine.world.ledger.inventory.qty("XRP")


def test_what_a_fee_took_of_the_base_asset_has_no_cost_left(spot: Bench) -> None:
    spot.place()
    spot.accept()
    spot.fill("t1", "10", fee=D("0.1"), fee_asset="XRP")
    leave = leaving(spot)
    spot.fill("x1", "9.9", leave, price=D(2))
    assert {} == spot.engine.world.ledger.inventory.prices()


def test_the_basis_of_a_settled_exit_is_the_one_it_had(spot: Bench) -> None:
    """An entry that fills late, between an exit without a price and its figure."""
    spot.place(qty=D(20), limit_price=D(3))
    spot.accept()
    spot.fill("t1", "10", price=D(1))
    leave = leaving(spot)
    spot.fill("x1", "4", leave, price=None)
    spot.fill("t2", "6", price=D(3))
    settle(spot, "x1", leave, realized_pnl=D(4))  # sold 4 at 2, bought at 1
    assert D(1000) - 10 - 18 + 8 == total(spot, "USD")
    spot.proven()


def test_a_venue_that_states_the_profit_where_no_basis_is_known(perp: Bench) -> None:
    perp.place()
    perp.accept()
    perp.fill("t1", "10", price=None)
    leave = leaving(perp)
    perp.fill("x1", "10", leave, price=D(2), realized_pnl=D(10))
    assert D(10) == perp.position().realized_pnl
    assert D(1010) == total(perp, "USD")
    perp.proven()


def test_a_void_of_an_exit_without_a_price_keeps_the_wallets_basis(perp: Bench) -> None:
    bought(perp)
    leave = leaving(perp)
    perp.fill("x1", "10", leave, price=None, status=FillStatus.PROVISIONAL)
    void(perp, "x1", leave)
    assert (D(10), D(1)) == (perp.position().qty, perp.position().basis)
    again = perp.exits()[-1].client_order_id
    perp.fill("x2", "10", again, price=D(2))
    assert (D(10), D(1010)) == (perp.position().realized_pnl, total(perp, "USD"))
    perp.proven()


def test_a_settled_exit_without_a_price_that_is_voided_and_made_again(perp: Bench) -> None:
    bought(perp)
    leave = leaving(perp)
    perp.fill("x1", "10", leave, price=None)
    settle(perp, "x1", leave, realized_pnl=D(7))
    assert (D(7), D(1007)) == (perp.position().realized_pnl, total(perp, "USD"))
    void(perp, "x1", leave)
    assert (D(0), D(1000)) == (perp.position().realized_pnl, total(perp, "USD"))
    again = perp.exits()[-1].client_order_id
    perp.fill("x2", "10", again, price=D(2))
    assert (D(10), D(1010)) == (perp.position().realized_pnl, total(perp, "USD"))
    perp.proven()


def test_a_closing_that_our_own_exit_told_already_is_the_same_trade(perp: Bench) -> None:
    bought(perp)
    leave = leaving(perp)
    perp.fill("x1", "4", leave, price=D(2))
    perp.say(facts.PositionClosed(position_id="a", qty=D(4), price=D(2), trade_id="x1"))
    assert (D(6), D(4)) == (perp.position().qty, perp.position().realized_pnl)
    perp.proven()


def test_a_fill_of_our_own_exit_that_was_told_as_a_closing_is_the_same_trade(perp: Bench) -> None:
    bought(perp)
    leave = leaving(perp)
    perp.say(facts.PositionClosed(position_id="a", qty=D(4), price=D(2), trade_id="x1"))
    perp.fill("x1", "4", leave, price=D(2))
    assert (D(6), D(4)) == (perp.position().qty, perp.position().realized_pnl)
    assert D(1004) == total(perp, "USD")
    perp.proven()


def test_funding_that_a_query_tells_by_its_time_and_the_stream_by_its_id(perp: Bench) -> None:
    bought(perp)
    perp.say(facts.FundingPaid(instrument=PAIR, amount=D(-1), funding_id="F1", venue_us=77))
    perp.say(facts.FundingPaid(instrument=PAIR, amount=D(-1), venue_us=77))
    assert D(999) == total(perp, "USD")
    perp.say(facts.FundingPaid(instrument=PAIR, amount=D(-2), venue_us=88))
    perp.say(facts.FundingPaid(instrument=PAIR, amount=D(-2), funding_id="F2", venue_us=88))
    assert D(997) == total(perp, "USD")
    perp.say(facts.FundingPaid(instrument=PAIR, amount=D(-3), funding_id="F3", venue_us=88))
    assert D(994) == total(perp, "USD")
    perp.restart()
    perp.say(facts.FundingPaid(instrument=PAIR, amount=D(-2), funding_id="F2", venue_us=88))
    perp.say(facts.FundingPaid(instrument=PAIR, amount=D(-1), venue_us=77))
    assert D(994) == total(perp, "USD")
    assert 3 == len(perp.events(ev.FundingBooked))


def test_a_fee_in_another_asset_counts_at_what_that_cost_and_never_as_if_it_were_quote(
    spot: Bench,
) -> None:
    spot.place()
    spot.accept()
    spot.fill("t1", "4", fee=D("0.01"), fee_asset="BNB")
    ledger = spot.engine.world.ledger
    assert (D(0), D(1000)) == (ledger.fees_paid, ledger.capital)
    assert "fee_not_valued" in spot.events(ev.PositionChanged)[-1].flags
    ledger.inventory.came("BNB", D(1), D(600))
    spot.fill("t2", "6", fee=D("0.01"), fee_asset="BNB")
    assert (D(6), D(994)) == (ledger.fees_paid, ledger.capital)
    assert D("0.99") == ledger.inventory.qty("BNB")
    assert "fee_not_valued" not in spot.events(ev.PositionChanged)[-1].flags
    void(spot, "t2", "a")
    assert (D(0), D(1)) == (ledger.fees_paid, ledger.inventory.qty("BNB"))


def test_what_a_stated_profit_opens_on_the_other_side_has_no_basis(spot: Bench) -> None:
    bought(spot)
    leave = leaving(spot)
    spot.fill("x1", "15", leave, price=None, realized_pnl=D(10))
    position = spot.position()
    assert (D(-5), None, D(10)) == (position.qty, position.basis, position.realized_pnl)
    assert ("entry_basis_missing",) == spot.events(ev.PositionChanged)[-1].flags
    assert D(1010) == total(spot, "USD")  # the ten that were closed; the price of five is unknown
    spot.proven()


def test_a_settlement_pays_for_what_was_closed_and_not_for_what_went_through_zero(
    spot: Bench,
) -> None:
    bought(spot)
    leave = leaving(spot)
    spot.fill("x1", "15", leave, price=None)
    settle(spot, "x1", leave, realized_pnl=D(10))
    assert D(1010) == total(spot, "USD")
    spot.proven()


def test_a_settled_fee_in_the_base_asset_is_not_held_even_where_nobody_knows_its_worth(
    spot: Bench,
) -> None:
    spot.place()
    spot.accept()
    spot.fill("t1", "10", price=None, fee_asset="XRP")
    settle(spot, "t1", "a", fee=D("0.3"))
    assert (D("9.7"), D("9.7")) == (spot.position().qty, total(spot, "XRP"))
    spot.proven()
