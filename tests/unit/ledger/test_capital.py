"""Deposits, withdrawals, realignments, commits, conversions and the initial basis, by command."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsm import events as ev
from fsm.vocabulary import CapitalKind, Side
from storage.capital import SYNTHETIC_BASIS, capital_delta_since, withdrawal_basis
from storage.journal import JournalReader
from tests.unit.ledger.rigs import PERP, SPOT, Account, D


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def figures(account: Account) -> tuple[str, str, str]:
    """Balance of the quote asset, capital, basis."""
    found = account.document
    total = found["balances"]["USD"]["total"]
    return total, found["capital"], found["net_basis"]


def earned(account: Account, price: str) -> None:
    """Ten bought at 1 and sold at this price."""
    account.opened("10", "1")
    account.closed("10", price)


# --------------------------------------------------------------------------------- withdrawals


@pytest.mark.parametrize(
    ("value", "equity", "basis", "delta"),
    [
        ("50", "1200", "1000", "0"),  # all of it profit
        ("200", "1200", "1000", "0"),  # exactly the profit
        ("201", "1200", "1000", "-1"),  # profit first, one of the basis
        ("1200", "1200", "1000", "-1000"),  # everything
        ("100", "1000", "1000", "-100"),  # there is no profit
        ("100", "700", "1000", "-100"),  # a loss does not shelter the basis
        ("700", "700", "1000", "-700"),  # all that is left: the lost 300 stay in the basis
        ("100", "500", "50", "0"),  # profit is most of it
        ("480", "500", "50", "-30"),
        ("100", "50", "60", "-60"),  # the basis never falls below zero
        ("100", "50", "0", "0"),
        ("100", "-20", "-5", "0"),
        ("0", "1200", "1000", "0"),
    ],
)
def test_a_withdrawal_takes_profit_first_by_the_figures_before_it(
    value: str, equity: str, basis: str, delta: str
) -> None:
    assert D(delta) == withdrawal_basis(D(value), D(equity), D(basis))


@pytest.mark.parametrize(
    ("price", "amount", "basis"),
    [("11", "60", "1000"), ("11", "100", "1000"), ("11", "150", "950"), ("0.1", "150", "850")],
    ids=["profit only", "just the profit", "beyond the profit", "after a loss"],
)
def test_the_command_takes_profit_first(
    account: Account, price: str, amount: str, basis: str
) -> None:
    earned(account, price)
    result = D(10) * (D(price) - 1)
    assert account.withdraw("USD", amount)["accepted"]
    total, capital, net_basis = figures(account)
    assert (D(total), D(capital)) == (1000 + result - D(amount), 1000 + result - D(amount))
    assert basis == net_basis


def test_open_profit_counts_by_the_mark_before_the_withdrawal(account: Account) -> None:
    account.opened("100", "1")
    account.bench.quote("3", "3.1")
    assert "1200" == account.document["equity"]
    account.withdraw("USD", "250")
    (event,) = account.bench.events(ev.CapitalRecorded)[-1:]
    assert (D(1200), D(1000), D(-50)) == (
        event.equity_before,
        event.net_basis_before,
        event.basis_delta,
    )
    account.bench.quote("1", "1.1")
    assert "950" == account.document["net_basis"]


def test_two_withdrawals_each_look_at_what_the_one_before_left(account: Account) -> None:
    earned(account, "11")
    account.withdraw("USD", "80", ref="one")
    account.withdraw("USD", "80", ref="two")
    assert ("940", "940", "940") == figures(account)


def test_a_drawdown_does_not_move_the_basis(account: Account) -> None:
    earned(account, "0.5")
    assert ("995", "995", "1000") == figures(account)


def test_more_than_what_is_free_is_refused(account: Account) -> None:
    account.bench.place("a", qty=D(100), limit_price=D(2))
    account.bench.accept("a")
    refused = account.withdraw("USD", "801")
    assert "801 USD is more than the 800 that is free" == refused["error"]
    assert ("1000", "1000", "1000") == figures(account)


def test_margin_that_is_used_is_not_free(tmp_path: Path) -> None:
    account = Account(tmp_path, PERP)
    account.opened("600", "1")
    assert "more than the 400 that is free" in account.withdraw("USD", "401")["error"]
    assert account.withdraw("USD", "400")["accepted"]


# ------------------------------------------------------------------------------------- deposits


def test_a_deposit_of_another_asset_counts_at_its_price_and_joins_the_average(
    tmp_path: Path,
) -> None:
    account = Account(tmp_path, opening={"USD": D(1000), "XRP": D(0)})
    account.opened("10", "1")
    assert account.deposit("XRP", "30", "2")["accepted"]
    view = account.view
    assert (D(40), D(1060), D(1060)) == (
        view.balances["XRP"].total,
        view.capital,
        view.net_basis,
    )
    assert {"XRP": D("1.75")} == view.wac  # ten at 1, thirty at 2
    assert D(1) == account.bench.position().basis, "a deposit is no part of a position"


def test_a_withdrawal_of_another_asset_leaves_the_average(tmp_path: Path) -> None:
    account = Account(tmp_path, opening={"USD": D(1000), "XRP": D(0)})
    account.deposit("XRP", "30", "2")
    account.withdraw("XRP", "10", "2")
    view = account.view
    assert ({"XRP": D(2)}, D(1040), D(1040)) == (view.wac, view.capital, view.net_basis)


@pytest.mark.parametrize(
    ("asset", "amount", "price", "said"),
    [
        ("XRP", "10", None, "needs its price"),
        ("XRP", "10", "0", "must be above zero"),
        ("XRP", "10", "-1", "must be above zero"),
        ("XRP", "10", "NaN", "must be above zero"),
        ("USD", "10", "2", "its price is 1"),
        ("USD", "0", None, "must be above zero"),
        ("USD", "-5", None, "must be above zero"),
        ("USD", "Infinity", None, "must be above zero"),
        ("UDS", "5", None, "did you mean USD?"),
        ("", "5", None, "no asset ''"),
    ],
)
def test_a_deposit_that_cannot_be_read_is_refused_and_changes_nothing(
    account: Account, asset: str, amount: str, price: str | None, said: str
) -> None:
    before = figures(account)
    refused = account.deposit(asset, amount, price)
    assert not refused["accepted"]
    assert said in refused["error"]
    assert before == figures(account)


def test_a_transfer_is_booked_once_for_its_reference(account: Account) -> None:
    assert account.deposit("USD", "50", ref="tx-1")["changed"]
    assert {"accepted": True, "changed": False} == {
        key: account.deposit("USD", "50", ref="tx-1").get(key) for key in ("accepted", "changed")
    }
    account.bench.restart()
    assert not account.deposit("USD", "50", ref="tx-1")["changed"]
    assert ("1050", "1050", "1050") == figures(account)
    account.deposit("USD", "50", ref="tx-2")
    assert ("1100", "1100", "1100") == figures(account)


def test_the_same_command_without_a_reference_is_asked_for_one(account: Account) -> None:
    account.deposit("USD", "50")
    refused = account.deposit("USD", "50")
    assert "the same was booked not long ago" in refused["error"]
    assert "--ref" in refused["error"]
    account.bench.restart()
    assert not account.deposit("USD", "50")["accepted"]
    assert ("1050", "1050", "1050") == figures(account)


def test_nothing_is_booked_beside_an_order_in_flight(account: Account) -> None:
    account.bench.place("a")
    refused = account.deposit("USD", "50")
    assert "order a on XRP/USD is SUBMITTED" in refused["error"]
    account.bench.accept("a")
    assert account.deposit("USD", "50")["accepted"]


# --------------------------------------------------------------- realignment, commit, conversion


@pytest.mark.parametrize("amount", ["-12.5", "12.5"])
def test_a_realignment_moves_balance_and_capital_and_leaves_the_basis(
    account: Account, amount: str
) -> None:
    account.book(CapitalKind.REALIGNMENT, "USD", amount)
    total, capital, basis = figures(account)
    assert (1000 + D(amount), 1000 + D(amount), "1000") == (D(total), D(capital), basis)


def test_profit_becomes_basis_by_hand_and_never_more_than_there_is(account: Account) -> None:
    assert "profit that may be committed: 0" in account.book(CapitalKind.BASIS_COMMIT)["error"]
    earned(account, "11")
    assert not account.book(CapitalKind.BASIS_COMMIT, amount="101")["accepted"]
    account.book(CapitalKind.BASIS_COMMIT, amount="40")
    assert ("1100", "1100", "1040") == figures(account)
    account.book(CapitalKind.BASIS_COMMIT)
    assert ("1100", "1100", "1100") == figures(account)


def test_a_conversion_realizes_what_it_brings_over_the_average_cost(tmp_path: Path) -> None:
    account = Account(tmp_path, opening={"USD": D(1000), "XRP": D(0)})
    account.deposit("XRP", "30", "2")
    account.convert("XRP", "10", "USD", "25")
    view = account.view
    assert (D(20), D(1025)) == (view.balances["XRP"].total, view.balances["USD"].total)
    assert (D(1065), D(1060), D(0)) == (view.capital, view.net_basis, view.realized_pnl)
    account.convert("USD", "40", "XRP", "10")
    assert abs(D(20 * 2 + 40) / 30 - account.view.wac["XRP"]) < D("1e-25")
    assert D(1065) == account.view.capital


@pytest.mark.parametrize(
    ("legs", "said"),
    [
        (("XRP", "10", "XRP", "10"), "no conversion"),
        (("XRP", "101", "USD", "10"), "more than the 100 that is free"),
        (("XRP", "0", "USD", "10"), "must be above zero"),
        (("XRP", "1", "EUR", "10"), "no asset 'EUR'"),
    ],
)
def test_a_conversion_that_cannot_be_is_refused(
    tmp_path: Path, legs: tuple[str, str, str, str], said: str
) -> None:
    account = Account(tmp_path, opening={"USD": D(1000), "XRP": D(100)})
    refused = account.convert(*legs)
    assert said in refused["error"]
    assert [] == account.bench.events(ev.ConversionBooked)


# --------------------------------------------------------------------------------- initial basis


@pytest.fixture
def unpriced(tmp_path: Path) -> Account:
    """Opened with coins that nobody has valued."""
    return Account(tmp_path, opening={"USD": D(1000), "XRP": D(100)})


def init(account: Account, **prices: str) -> dict[str, object]:
    given = {asset: D(price) for asset, price in prices.items()}
    return account.book(CapitalKind.INIT_BASIS, "", prices=given)


def test_coins_without_a_price_are_told_and_count_in_no_figure(unpriced: Account) -> None:
    view = unpriced.view
    assert ({"XRP": D(100)}, D(1000), D(1000)) == (view.unpriced, view.capital, view.net_basis)
    assert {} == view.wac


def test_the_initial_basis_is_written_once_and_says_so(unpriced: Account) -> None:
    assert init(unpriced, XRP="0.5")["changed"]
    view = unpriced.view
    assert ({}, D(1050), D(1050), {"XRP": D("0.5")}) == (
        view.unpriced,
        view.capital,
        view.net_basis,
        view.wac,
    )
    event = unpriced.bench.events(ev.CapitalRecorded)[-1]
    assert (CapitalKind.INIT_BASIS, SYNTHETIC_BASIS, SYNTHETIC_BASIS, D(0)) == (
        event.kind,
        event.source_note,
        event.ref,
        event.amount,
    )
    assert not init(unpriced, XRP="0.5")["changed"], "again: it is written"
    assert "only once" in str(init(unpriced, XRP="0.6")["error"])
    unpriced.bench.restart()
    assert not init(unpriced, XRP="0.5")["changed"]
    assert 1050 == unpriced.view.net_basis


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ({}, "no price for XRP"),
        ({"XRP": "0"}, "must be above zero"),
        ({"XRP": "1", "USD": "1"}, "USD needs no price"),
    ],
)
def test_an_initial_basis_needs_the_price_of_each_coin_and_of_no_other(
    unpriced: Account, prices: dict[str, str], said: str
) -> None:
    assert said in str(init(unpriced, **prices)["error"])
    assert D(1000) == unpriced.view.net_basis


def test_nothing_but_the_command_writes_an_initial_basis(unpriced: Account) -> None:
    for _ in range(3):
        unpriced.bench.restart()
    events = unpriced.bench.events(ev.CapitalRecorded)
    assert ["opening", "opening"] == [event.kind for event in events]
    assert D(1000) == unpriced.view.net_basis


def test_there_is_nothing_to_initialise_where_all_is_quote(account: Account) -> None:
    assert not init(account)["changed"]


def test_a_second_opening_by_command_is_refused(account: Account) -> None:
    refused = account.book(CapitalKind.OPENING, "USD", "10")
    assert not refused["accepted"]
    assert ("1000", "1000", "1000") == figures(account)


# --------------------------------------------------------------------------- deltas since a seq


def test_deltas_are_strictly_after_the_seq_and_openings_are_not_among_them(
    account: Account,
) -> None:
    account.deposit("USD", "50", ref="a")
    account.deposit("XRP", "20", "2", ref="b")
    account.withdraw("USD", "10", ref="c")
    account.convert("XRP", "5", "USD", "10")
    account.book(CapitalKind.BASIS_COMMIT)
    reader = JournalReader.open(account.bench.database)
    seqs = [at.seq for at in reader.events(types=("CapitalRecorded", "ConversionBooked"))]
    found = [capital_delta_since(reader, seq) for seq in (0, *seqs[-4:])]
    reader.close()
    assert [4, 3, 2, 1, 0] == [delta.events for delta in found]
    assert {"USD": D(50), "XRP": D(15)} == found[0].deltas
    assert {"USD": D(0), "XRP": D(15)} == found[1].deltas
    assert {"USD": D(10), "XRP": D(-5)} == found[3].deltas
    assert {} == found[4].deltas
    assert seqs[-1] == found[4].boundary


@pytest.mark.parametrize("instrument", [SPOT, PERP], ids=["spot", "perpetual"])
def test_where_capital_events_stand_among_fills_changes_no_balance(
    tmp_path: Path, instrument: object
) -> None:
    """Deposits before and after the last fill both survive a rebuild (N04)."""
    found = []
    for when in range(4):
        folder = tmp_path / str(when)
        folder.mkdir()
        account = Account(folder, instrument)  # type: ignore[arg-type]
        for step in range(4):
            if step == when:
                account.deposit("USD", "75", ref="d")
                account.deposit("XRP", "8", "2", ref="e")
                account.withdraw("USD", "25", ref="w")
            if step == 0:
                account.opened("10", "1", fee=D("0.1"))
            elif step == 1:
                account.leaving("10", "3", name="x")
                account.bench.fill("t-x1", "4", "x", price=D(2))
            elif step == 2:
                account.bench.fill("t-x2", "6", "x", price=D(3), fee=D("0.2"))
        account.bench.restart()
        view = account.view
        totals = {asset: balance.total for asset, balance in view.balances.items()}
        found.append((totals, view.capital, view.realized_pnl, view.fees_paid))
    assert all(one == found[0] for one in found)
    coins = 16 if instrument is SPOT else 0  # an account on margin holds none
    assert D(1000 + 75 + coins - 25 + 16) - D("0.3") == found[0][1]


def test_a_basis_has_no_market_in_it(account: Account) -> None:
    account.opened("10", "1", side=Side.BUY)
    for bid in ("0.5", "1", "7"):
        account.bench.quote(bid, bid)
        assert ("1000", "1000") == (account.document["net_basis"], account.document["capital"])
