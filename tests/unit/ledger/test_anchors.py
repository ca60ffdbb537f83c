"""The capital figure and a margin wallet: seed, e_anchored, k_bridged; nothing is added twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsm import events as ev
from fsm import facts
from fsm.order import OrderState
from fsm.vocabulary import Side
from tests.unit.ledger.rigs import PERP, SPOT, START_US, Account, D

LATER = START_US + 60_000_000


@pytest.fixture
def account(tmp_path: Path) -> Account:
    """After the start its wallet is told by the stream alone."""
    account = Account(tmp_path, PERP)
    account.bench.venue.tells_wallet = False
    return account


def test_before_the_wallet_was_ever_told_capital_is_the_seed(tmp_path: Path) -> None:
    view = Account(tmp_path, PERP, tells_wallet=False).view
    assert ("seed", D(1000), D(1000)) == (view.capital_source, view.capital, view.wallet)


def test_capital_is_anchored_then_bridged_and_names_the_event_that_made_it(
    account: Account,
) -> None:
    account.wallet("1000.75")
    anchored = account.view
    assert ("e_anchored", D("1000.75")) == (anchored.capital_source, anchored.capital)
    (event, told) = account.bench.events(ev.CapitalAnchored)
    assert (D(0), "query", D("0.75"), "stream") == (
        event.drift,
        event.origin,
        told.drift,
        told.origin,
    )
    assert D("1000.75") == anchored.wallet
    account.opened("100", "1", fee=D("0.1"), venue_us=LATER)
    account.closed("100", "1.01", fee=D("0.1"), venue_us=LATER)
    bridged = account.view
    assert ("k_bridged", D("1001.55")) == (bridged.capital_source, bridged.capital)
    assert anchored.capital_seq < bridged.capital_seq <= bridged.event_seq
    assert bridged.wallet == bridged.capital
    assert D(1000) == bridged.net_basis


def test_what_moves_no_capital_leaves_its_source_and_its_event(account: Account) -> None:
    account.wallet("1001")
    before = account.view
    account.bench.quote("1", "1.1")
    account.opened("10", "1", venue_us=LATER)
    after = account.view
    assert (before.capital_source, before.capital_seq) == (after.capital_source, after.capital_seq)
    assert after.event_seq > before.event_seq


@pytest.mark.parametrize("frame", ["0", "-0.01", "-250"])
def test_a_wallet_that_is_not_above_zero_is_no_anchor(account: Account, frame: str) -> None:
    account.wallet(frame)
    view = account.view
    assert (D(1000), D(1000)) == (view.capital, view.wallet)
    rejected = [e for e in account.bench.events(ev.AnomalyRecorded) if e.kind == "anchor_rejected"]
    assert [f"a wallet of {frame} USD on the stream"] == [e.seen for e in rejected]


@pytest.mark.parametrize("frame", ["NaN", "Infinity", "sNaN"])
def test_a_wallet_that_is_not_a_number_changes_nothing(account: Account, frame: str) -> None:
    account.wallet(frame)
    view = account.view
    assert (D(1000), D(1000)) == (view.capital, view.wallet)


def test_an_empty_spot_balance_is_no_anchor_and_no_anomaly_of_one(tmp_path: Path) -> None:
    account = Account(tmp_path, SPOT)
    account.wallet("0")
    assert (D(1000), "seed", None) == (
        account.view.capital,
        account.view.capital_source,
        account.view.wallet,
    )
    kinds = [e.kind for e in account.bench.events(ev.AnomalyRecorded)]
    assert "anchor_rejected" not in kinds


def test_a_comparison_that_agrees_anchors_by_query(tmp_path: Path) -> None:
    account = Account(tmp_path, PERP)
    assert "e_anchored" == account.view.capital_source
    assert ["query"] == [e.origin for e in account.bench.events(ev.CapitalAnchored)]


def test_the_same_wallet_again_is_no_event(account: Account) -> None:
    account.wallet("1000.75")
    account.wallet("1000.75")
    assert [D(0), D("0.75")] == [e.drift for e in account.bench.events(ev.CapitalAnchored)]


def test_a_fill_that_is_older_than_the_anchor_is_not_added_to_it(account: Account) -> None:
    account.opened("100", "1", venue_us=START_US)
    account.wallet("1049.9", venue_us=LATER)  # the exit below is in it
    assert D("1049.9") == account.view.capital
    account.closed("100", "1.5", fee=D("0.1"), fee_asset="USD", venue_us=LATER - 1)
    view = account.view
    assert D("1049.9") == view.capital == view.wallet
    assert (D(50), D("0.1")) == (view.realized_pnl, view.fees_paid)


def test_a_fill_after_the_anchor_is_added_to_it(account: Account) -> None:
    account.opened("100", "1", venue_us=START_US)
    account.wallet("1000", venue_us=LATER)
    account.closed("100", "1.5", venue_us=LATER + 1)
    assert D(1050) == account.view.capital == account.view.wallet


def test_a_settlement_of_a_fill_that_is_older_than_the_anchor_is_not_added_to_it(
    account: Account,
) -> None:
    account.opened("100", "1", side=Side.SELL, venue_us=START_US)
    account.closed("100", None, venue_us=START_US)
    account.wallet("1164", venue_us=LATER)
    account.settled("t-x", "x", "164")
    view = account.view
    assert (D(164), D(1164), D(1164)) == (view.realized_pnl, view.capital, view.wallet)


def test_a_settlement_of_a_fill_after_the_anchor_is_added_to_it(account: Account) -> None:
    account.opened("100", "1", side=Side.SELL, venue_us=START_US)
    account.wallet("1000", venue_us=START_US)
    account.closed("100", None, venue_us=LATER)
    account.settled("t-x", "x", "164")
    assert D(1164) == account.view.capital == account.view.wallet


def test_what_the_venue_states_of_a_fill_without_a_price_is_in_an_anchor_after_it(
    account: Account,
) -> None:
    account.opened("100", "1", side=Side.SELL, venue_us=START_US)
    account.wallet("1164", venue_us=LATER)
    account.closed("100", None, venue_us=LATER - 1, realized_pnl=D(164))
    view = account.view
    assert (D(164), D(1164), D(1164)) == (view.realized_pnl, view.capital, view.wallet)
    assert D(164) == view.realized_by["exchange"]


def test_a_late_fee_that_is_in_the_anchor_is_not_taken_off_again(account: Account) -> None:
    account.opened("100", "1", venue_us=START_US)
    account.wallet("999.9", venue_us=LATER)
    account.settled("t-a", "a", None, fee="0.1")
    view = account.view
    assert (D("0.1"), D("999.9"), D("999.9")) == (view.fees_paid, view.capital, view.wallet)


def test_funding_counts_once_and_not_again_where_the_anchor_has_it(account: Account) -> None:
    account.opened("100", "1", venue_us=START_US)
    for _ in range(2):
        account.funded("-1.5", "F1", venue_us=START_US + 1)
    assert (D("-1.5"), D("998.5")) == (account.view.funding, account.view.capital)
    account.wallet("998", venue_us=LATER)
    account.funded("-0.5", "F2", venue_us=LATER - 1)
    view = account.view
    assert (D(-2), D(998), D(998)) == (view.funding, view.capital, view.wallet)


def test_a_deposit_that_the_wallet_told_before_it_was_booked_counts_once(account: Account) -> None:
    account.wallet("1250")
    account.deposit("USD", "250")
    view = account.view
    assert (D(1250), D(1250), D(1250)) == (view.capital, view.wallet, view.net_basis)


def test_a_deposit_beside_an_anchor_that_does_not_hold_it_is_added(account: Account) -> None:
    account.wallet("1000.5")
    account.deposit("USD", "250")
    assert D("1250.5") == account.view.capital == account.view.wallet


def test_a_withdrawal_that_the_wallet_told_before_it_was_booked_counts_once(
    account: Account,
) -> None:
    account.wallet("750")
    account.withdraw("USD", "250")
    assert (D(750), D(750)) == (account.view.capital, account.view.wallet)


def test_anchors_and_bridges_are_the_same_after_a_restart(account: Account) -> None:
    account.opened("100", "1", venue_us=START_US)
    account.wallet("1049.9", venue_us=LATER)
    account.closed("100", "1.5", fee=D("0.1"), venue_us=LATER - 1)
    before = account.view
    account.bench.restart()
    after = account.view
    assert (before.capital, before.wallet) == (after.capital, after.wallet)


def test_margin_is_what_leverage_touches_and_nothing_else(tmp_path: Path) -> None:
    figures = []
    for leverage in ("1", "4"):
        folder = tmp_path / leverage
        folder.mkdir()
        account = Account(folder, PERP)
        account.bench.place("a", qty=D(100), leverage=D(leverage))
        reserved = account.view.balances["USD"].reserved
        account.bench.accept("a")
        account.bench.fill("t", "100", "a")
        held = account.view
        account.closed("100", "1.5")
        gone = account.view
        figures.append((reserved, held.margin_used, held.margin_free))
        assert (D(50), D(1050), D(0)) == (gone.realized_pnl, gone.capital, gone.margin_used)
        assert D(1050) == gone.margin_free
    assert [(D(100), D(100), D(900)), (D(25), D(25), D(975))] == figures


def test_an_order_that_nobody_knows_the_fate_of_holds_its_funds_back(account: Account) -> None:
    account.bench.place("a", qty=D(100))
    account.bench.say(facts.OutcomeUnknown(client_order_id="a", reason="timed out"))
    assert OrderState.UNKNOWN is account.bench.order("a").state
    view = account.view
    assert (D(100), D(900)) == (view.balances["USD"].reserved, view.balances["USD"].free)
    assert D(900) == view.margin_free
