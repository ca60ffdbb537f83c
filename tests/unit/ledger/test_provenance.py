"""Each cash flow counts once, and each figure says where it comes from (X11, P01, M06)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fsm import events as ev
from fsm.instrument import Instrument
from fsm.vocabulary import FillStatus, PnlSource, Side
from tests.unit.ledger.rigs import PERP, SPOT, Account, D

BOTH = pytest.mark.parametrize("instrument", [SPOT, PERP], ids=["spot", "perpetual"])


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path, PERP)


def sources(account: Account) -> tuple[Decimal, Decimal, Decimal]:
    """Realized PnL: exchange, kernel_estimate, inferred."""
    by = account.view.realized_by
    return by["exchange"], by["kernel_estimate"], by["inferred"]


def mismatches(account: Account) -> list[str]:
    found = account.bench.events(ev.AnomalyRecorded)
    return [event.seen for event in found if event.kind == "pnl_mismatch"]


# ------------------------------------------------------------------------------------------ fees


@BOTH
@pytest.mark.parametrize("told", ["0.1", None], ids=["told with the fill", "not told"])
def test_the_fee_of_a_settlement_counts_once_with_that_of_its_fill(
    tmp_path: Path, instrument: Instrument, told: str | None
) -> None:
    account = Account(tmp_path, instrument)
    fee = {} if told is None else {"fee": D(told), "fee_asset": "USD"}
    account.opened("10", "1", status=FillStatus.PROVISIONAL, **fee)
    for _ in range(2):
        account.settled("t-a", "a", None, fee="0.12")
    cash = D(1000) if instrument is PERP else D(990)
    view = account.view
    assert (D("0.12"), D("999.88"), cash - D("0.12")) == (
        view.fees_paid,
        view.capital,
        account.total(),
    )
    assert D("0.12") == account.bench.position().fees
    account.voided("t-a", "a")
    assert (D(0), D(1000), D(1000)) == (
        account.view.fees_paid,
        account.view.capital,
        account.total(),
    )


def test_a_fee_without_an_asset_is_paid_in_quote(account: Account) -> None:
    account.opened("10", "1", fee=D("0.25"))
    view = account.view
    assert (D("0.25"), D("999.75"), D("999.75")) == (
        view.fees_paid,
        view.capital,
        account.total(),
    )


def test_a_rebate_is_the_cost_below_zero_that_it_is(account: Account) -> None:
    account.opened("10", "1", fee=D("-0.25"), fee_asset="USD")
    assert (D("-0.25"), D("1000.25")) == (account.view.fees_paid, account.total())


def test_a_fee_in_the_base_asset_is_not_held_and_counts_at_the_price_of_its_fill(
    tmp_path: Path,
) -> None:
    account = Account(tmp_path, SPOT)
    account.opened("10", "2", fee=D("0.1"), fee_asset="XRP")
    view = account.view
    assert (D("9.9"), D("9.9")) == (account.total("XRP"), account.bench.position().qty)
    assert (D("0.2"), D("999.8"), D(980)) == (view.fees_paid, view.capital, account.total())


def test_funding_counts_once_and_a_partial_exit_does_not_count_it_again(account: Account) -> None:
    account.opened("10", "1", side=Side.SELL)
    account.funded("0.5", "F1")
    account.leaving("10", "1")
    account.bench.fill("x1", "4", "x", price=D("0.9"))
    account.funded("0.5", "F1")
    account.bench.restart()
    account.funded("0.5", "F1")
    account.bench.fill("x2", "6", "x", price=D("0.9"))
    view = account.view
    assert (D("0.5"), D(1), D("1001.5"), D("1001.5")) == (
        view.funding,
        view.realized_pnl,
        view.capital,
        account.total(),
    )


# ------------------------------------------------------------------------- settlements and sources


@BOTH
def test_a_venue_that_agrees_makes_the_figure_the_exchanges(
    tmp_path: Path, instrument: Instrument
) -> None:
    account = Account(tmp_path, instrument)
    account.opened("10", "1")
    trade = account.closed("10", "1.5")
    assert (D(0), D(5), D(0)) == sources(account)
    for _ in range(2):
        account.settled(trade, "x", "5.000001")
    assert (D(5), D(0), D(0)) == sources(account)
    assert PnlSource.EXCHANGE is account.bench.position().pnl_source
    assert [] == mismatches(account)
    assert D(1005) == account.total() == account.view.capital


@BOTH
def test_a_venue_that_differs_makes_an_anomaly_and_books_nothing(
    tmp_path: Path, instrument: Instrument
) -> None:
    account = Account(tmp_path, instrument)
    account.opened("10", "1")
    trade = account.closed("10", "1.5")
    for _ in range(2):
        account.settled(trade, "x", "7")
    assert ["trade t-x: the venue realized 7, our estimate is 5"] == mismatches(account)
    assert (D(0), D(5), D(0)) == sources(account)
    assert D(1005) == account.total() == account.view.capital


@pytest.mark.parametrize(
    ("qty", "stated", "agrees"),
    [
        ("10", "5.02", True),
        ("10", "5.0201", False),
        ("10000", "4998.5", True),
        ("10000", "5001.51", False),
    ],
)
def test_the_tolerance_is_the_larger_of_an_amount_and_bps_of_the_trade(
    tmp_path: Path, qty: str, stated: str, agrees: bool
) -> None:
    account = Account(tmp_path, PERP, {"USD": D(100_000)})
    rules = account.bench.engine.world.rules
    assert (D("0.02"), D(1)) == (rules.pnl_tolerance, rules.pnl_tolerance_bps)
    account.opened(qty, "1")
    account.settled(account.closed(qty, "1.5"), "x", stated)
    (compared,) = account.bench.events(ev.PnlCompared)
    assert (agrees, D(qty) / 2, D(stated)) == (
        compared.agrees,
        compared.estimate,
        compared.exchange,
    )
    assert agrees is (mismatches(account) == [])


def test_two_positions_on_one_perpetual_are_compared_as_the_venue_nets_them(
    account: Account,
) -> None:
    account.opened("10", "1", name="a")
    account.opened("10", "2", name="b")
    # The venue holds twenty at 1.5: by its figure closing "a" at 2 brings 5, by ours 10.
    account.closed("10", "2", position="a", name="xa", realized_pnl=D(5))
    assert [] == mismatches(account)
    assert D(10) == account.view.realized_pnl
    account.closed("10", "2", position="b", name="xb", realized_pnl=D(5))
    assert (D(10), D(1010), D(1010)) == (
        account.view.realized_pnl,
        account.view.capital,
        account.total(),
    )
    assert [] == mismatches(account)


@BOTH
def test_an_exit_without_a_price_books_nothing_until_its_settlement_and_then_once(
    tmp_path: Path, instrument: Instrument
) -> None:
    account = Account(tmp_path, instrument)
    account.opened("10", "1")
    account.closed("10", None, order_price=D("0.5"))
    before = account.view
    assert (D(0), D(1000), D(0)) == (before.realized_pnl, before.capital, before.fees_paid)
    (change,) = [e for e in account.bench.events(ev.PositionChanged) if e.cause == "exit_fill"]
    assert "realized_skipped_no_price" in change.flags
    account.bench.restart()
    for _ in range(2):
        account.settled("t-x", "x", "3", fee="0.1")
    assert (D(3), D(0), D(0)) == sources(account)
    view = account.view
    assert (D(3), D("0.1"), D("1002.9"), D("1002.9")) == (
        view.realized_pnl,
        view.fees_paid,
        view.capital,
        account.total(),
    )


def test_what_is_provisional_is_told_beside_the_figure_until_it_is_final(
    account: Account,
) -> None:
    account.opened("10", "1")
    account.leaving("10", "1.5")
    account.bench.fill("x1", "4", "x", price=D("1.5"), status=FillStatus.PROVISIONAL)
    account.bench.fill("x2", "6", "x", price=D("1.5"), status=FillStatus.PROVISIONAL)
    assert (D(5), D(5)) == (account.view.realized_pnl, account.view.realized_provisional)
    account.settled("x1", "x", None)
    assert (D(5), D(3)) == (account.view.realized_pnl, account.view.realized_provisional)
    account.bench.restart()
    account.voided("x2", "x")
    assert (D(2), D(0)) == (account.view.realized_pnl, account.view.realized_provisional)


# ------------------------------------------------------------------------------ a fill in two

#: What dividing the basis once more may move, for quantities and prices of this size.
SPLIT = D("1e-22")


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    instrument=st.sampled_from([SPOT, PERP]),
    qty=st.integers(2, 999),
    part=st.integers(1, 998),
    price=st.sampled_from(["0.3333", "1", "1.0007"]),
)
def test_a_fill_in_two_parts_is_the_fill_but_for_rounding(
    tmp_path_factory: pytest.TempPathFactory,
    instrument: Instrument,
    qty: int,
    part: int,
    price: str,
) -> None:
    found = []
    for parts in ([qty], [min(part, qty - 1), qty - min(part, qty - 1)]):
        account = Account(tmp_path_factory.mktemp("split"), instrument)
        account.bench.place("a", qty=D(qty + 7), limit_price=D(1))
        account.bench.accept("a")
        account.bench.fill("t0", "7", "a", price=D("0.9"))
        for number, one in enumerate(parts, 1):
            account.bench.fill(f"t{number}", str(one), "a", price=D(price))
        account.closed(str(qty), "1.1")
        found.append(attrs.asdict(account.view))
        account.bench.kill()
    whole, split = found
    for name in ("capital", "realized_pnl", "open_notional", "margin_used"):
        assert abs(whole[name] - split[name]) <= SPLIT, name
    assert whole["balances"].keys() == split["balances"].keys()
    for asset, balance in whole["balances"].items():
        assert abs(balance["total"] - split["balances"][asset]["total"]) <= SPLIT
