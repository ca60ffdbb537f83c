"""What is taken back leaves no trace in the sums, in whatever order it was traded."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsm.instrument import Instrument
from tests.unit.ledger.rigs import PERP, SPOT, Account, D

BOTH = pytest.mark.parametrize("instrument", [SPOT, PERP], ids=["spot", "perpetual"])


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def bought(account: Account, first: str, second: str) -> None:
    """One order of 20, filled by ten at each price."""
    account.bench.place("a", qty=D(20), limit_price=D(2))
    account.bench.accept("a")
    account.bench.fill("t1", "10", "a", price=D(first))
    account.bench.fill("t2", "10", "a", price=D(second))


@BOTH
def test_an_entry_that_is_voided_after_all_was_sold_leaves_what_the_rest_earned(
    tmp_path: Path, instrument: Instrument
) -> None:
    account = Account(tmp_path, instrument)
    bought(account, "1", "2")
    account.closed("10", "2")
    assert D(5) == account.view.realized_pnl
    account.voided("t1", "a")  # bought at 2 and sold at 2 is what was
    view = account.view
    assert (D(0), D(1000), D(1000)) == (view.realized_pnl, view.capital, account.total())
    assert D(0) == account.bench.position().qty


def test_an_entry_that_is_voided_while_something_is_held_leaves_the_average_of_the_others(
    account: Account,
) -> None:
    bought(account, "1", "2")
    account.voided("t1", "a")
    position = account.bench.position()
    assert (D(10), D(2), D(0)) == (position.qty, position.basis, position.realized_pnl)
    assert D(980) == account.total()


def test_what_the_rest_cannot_carry_is_realized_and_no_basis_is_below_zero(
    account: Account,
) -> None:
    bought(account, "1", "2")
    account.closed("18", "2")  # at 1.5 each: 9 realized, 2 left that cost 3
    account.bench.place("b", qty=D(10), limit_price=D(1), position_id="a")
    account.bench.accept("b")
    account.bench.fill("t3", "9", "b", price=D("0.1"))
    account.voided("t2", "a")  # 20 of cost, 3.9 of it is there
    position = account.bench.position()
    assert D(1) == position.qty
    assert position.basis is not None
    assert position.basis > 0
    left = account.total() + position.qty * position.basis
    assert left == account.view.capital == 1000 + position.realized_pnl


def test_an_exit_without_a_price_comes_back_at_the_basis_that_it_left(account: Account) -> None:
    account.opened("10", "1", name="a")
    account.closed("5", None)
    account.bench.place("b", qty=D(5), limit_price=D(2), position_id="a")
    account.bench.accept("b")
    account.bench.fill("t3", "5", "b", price=D(2))
    assert D("1.5") == account.bench.position().basis
    account.voided("t-x", "x")
    position = account.bench.position()
    assert (D(15), D(20)) == (position.qty, position.qty * (position.basis or 0))
    assert D(980) == account.total()


def test_an_exit_without_a_price_brings_its_profit_over_the_basis_of_its_time(
    account: Account,
) -> None:
    account.opened("10", "1", name="a")
    account.closed("5", None)
    account.bench.place("b", qty=D(5), limit_price=D(2), position_id="a")
    account.bench.accept("b")
    account.bench.fill("t3", "5", "b", price=D(2))
    account.settled("t-x", "x", "2")
    assert D(1000 - 10 - 10 + 5 + 2) == account.total()  # five that cost 1 were sold for 7
    account.voided("t-x", "x")
    position = account.bench.position()
    assert (D(0), D(980)) == (account.view.realized_pnl, account.total())
    assert (D(15), D(20)) == (position.qty, position.qty * (position.basis or 0))


@BOTH
def test_an_exit_without_a_price_that_was_settled_and_is_voided_was_never_there(
    tmp_path: Path, instrument: Instrument
) -> None:
    account = Account(tmp_path, instrument)
    account.opened("10", "1")
    account.closed("10", None)
    account.settled("t-x", "x", "3")
    view = account.view
    assert (D(3), D(3), D(1003)) == (view.realized_pnl, view.realized_by["exchange"], view.capital)
    account.voided("t-x", "x")
    view, position = account.view, account.bench.position()
    assert (D(0), D(1000)) == (view.realized_pnl, view.capital)
    assert all(part == 0 for part in view.realized_by.values())
    assert (D(10), D(1)) == (position.qty, position.basis)
    expected = {"USD": D(1000)} if instrument is PERP else {"USD": D(990), "XRP": D(10)}
    assert expected == {asset: b.total for asset, b in view.balances.items()}
