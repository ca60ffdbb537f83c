"""Capital that a wallet held before it was booked, references used twice, and amounts that the
books cannot hold: no figure counts anything twice, and nothing is swallowed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from actors import messages as msg
from fsm import events as ev
from fsm import facts
from fsm.instrument import Instrument
from fsm.order import OrderState
from fsm.vocabulary import (
    CapitalKind,
    FillStatus,
    InstrumentKind,
    Liquidity,
    OrderRole,
    Side,
    TradingMode,
)
from storage.ledger import Ledger
from tests.unit.engine.handmade import PAIR, START_US, Bench

D = Decimal
K = CapitalKind
PERP = Instrument(
    name=PAIR, base="XRP", quote="USD", kind=InstrumentKind.PERPETUAL, max_leverage=D(10)
)


@pytest.fixture
def spot(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def perp(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, instrument=PERP, opening={"USD": D(1000)})
    bench.wait(1)
    bench.venue.silent = True  # no comparison sets a figure right again
    return bench


def book(bench: Bench, kind: CapitalKind, asset: str, amount: str, **fields: object) -> dict:
    given = {"who": "test", "why": "", "ref": "", "price": None, "prices": {}} | fields
    bench.do(msg.BookCapital(kind=kind, asset=asset, amount=D(amount), **given))
    return bench.answers[-1]


def wallet(bench: Bench, amount: str, at_us: int = 0) -> None:
    at_us = at_us or bench.clock.now_us()
    bench.say(facts.BalanceReport(asset="USD", total=D(amount), venue_us=at_us))


@pytest.mark.parametrize("wallet_first", [False, True])
@pytest.mark.parametrize(
    ("kind", "amount", "after"),
    [(K.DEPOSIT, "500", "1500"), (K.WITHDRAWAL, "300", "700"), (K.REALIGNMENT, "-7", "993")],
)
def test_capital_that_the_wallet_told_of_counts_once(
    perp: Bench, kind: CapitalKind, amount: str, after: str, wallet_first: bool
) -> None:
    if wallet_first:
        wallet(perp, after)
    assert book(perp, kind, "USD", amount)["accepted"]
    if not wallet_first:
        wallet(perp, after)
    ledger = perp.engine.world.ledger
    assert D(after) == ledger.capital
    assert D(after) == ledger.wallet
    assert D(after) == ledger.totals["USD"]


def test_withdrawn_profit_leaves_the_basis_where_the_wallet_was_told_first(perp: Bench) -> None:
    perp.say(facts.FundingPaid(instrument=PAIR, amount=D(200), funding_id="F"))
    assert D(1200) == perp.engine.world.ledger.capital
    wallet(perp, "1050")  # it left the venue before it is booked here
    assert book(perp, K.WITHDRAWAL, "USD", "150")["accepted"]
    ledger = perp.engine.world.ledger
    assert (D(1050), D(1000)) == (ledger.capital, ledger.net_basis)


def test_an_older_figure_of_the_wallet_does_not_undo_a_newer_one(perp: Bench) -> None:
    wallet(perp, "1010", START_US + 2_000_000)
    wallet(perp, "1000", START_US + 1_000_000)
    assert D(1010) == perp.engine.world.ledger.capital


def test_a_figure_of_the_wallet_from_before_a_booked_fact_is_not_the_capital(perp: Bench) -> None:
    perp.say(
        facts.FundingPaid(
            instrument=PAIR, amount=D(50), funding_id="F", venue_us=START_US + 2_000_000
        )
    )
    wallet(perp, "1000", START_US + 1_000_000)
    assert D(1050) == perp.engine.world.ledger.capital


def stranger(bench: Bench, number: int, side: Side, qty: str, price: str, fee: str = "0") -> None:
    """An order of somebody else on the same account, found open and then filled."""
    name = f"E{number}"
    bench.venue.open = {
        name: facts.VenueOrder(
            venue_order_id=name,
            client_order_id=None,
            instrument=PAIR,
            side=side,
            qty=D(qty),
            filled_qty=D(0),
            state="open",
        )
    }
    bench.venue.silent = False
    bench.tell(msg.PassDue("orders"))
    bench.venue.silent = True
    fill = facts.OrderFill(
        trade_id=f"e{number}",
        venue_order_id=name,
        qty=D(qty),
        price=D(price),
        fee=D(fee),
        fee_asset="USD",
        venue_us=bench.clock.now_us(),
    )
    bench.say(fill, fill)


@pytest.mark.parametrize("resolved", [False, True])
def test_what_orders_of_somebody_else_brought_is_in_the_capital_as_in_the_wallet(
    perp: Bench, resolved: bool
) -> None:
    stranger(perp, 1, Side.BUY, "10", "2", "0.1")
    if resolved:
        perp.say(facts.InstrumentResolved(instrument=PAIR, payout=D("2.5")))
    else:
        stranger(perp, 2, Side.SELL, "10", "2.5")
    ledger = perp.engine.world.ledger
    assert (D("1004.9"), D("1004.9")) == (ledger.totals["USD"], ledger.capital)
    assert D(0) == ledger.realized_pnl  # no trade of ours
    wallet(perp, "1004.9")
    assert D("1004.9") == ledger.capital
    perp.restart()
    assert D("1004.9") == perp.engine.world.ledger.capital
    perp.proven()


def test_a_reference_that_is_given_again_for_something_else_is_refused(spot: Bench) -> None:
    assert book(spot, K.DEPOSIT, "USD", "500", ref="T1")["accepted"]
    again = book(spot, K.DEPOSIT, "USD", "500", ref="T1")
    assert (True, False) == (again["accepted"], again["changed"])
    for kind, amount in ((K.DEPOSIT, "700"), (K.WITHDRAWAL, "500")):
        other = book(spot, kind, "USD", amount, ref="T1")
        assert not other["accepted"]
        assert "T1" in str(other["error"])
    spot.restart()
    other = book(spot, K.WITHDRAWAL, "USD", "500", ref="T1")
    assert not other["accepted"]
    assert D(1500) == spot.engine.world.ledger.totals["USD"]


def test_no_transfer_takes_the_reference_of_the_initial_basis(spot: Bench) -> None:
    refused = book(spot, K.DEPOSIT, "USD", "500", ref="synthetic_initial_basis")
    assert not refused["accepted"]
    answer = book(spot, K.INIT_BASIS, "", "0", prices={"XRP": D(1)})
    assert answer["accepted"], answer


@pytest.mark.parametrize("amount", ["1E+30", "1E-40", "1E+999999", "0.1E-27"])
def test_an_amount_that_the_balance_cannot_hold_exactly_is_refused(
    spot: Bench, amount: str
) -> None:
    answer = book(spot, K.DEPOSIT, "USD", amount)
    assert not answer["accepted"]
    assert 300 > len(str(answer["error"]))
    assert {"USD": D(1000), "XRP": D(1000)} == spot.engine.world.ledger.totals


def test_a_balance_with_all_the_digits_that_an_average_leaves_takes_any_usual_amount(
    perp: Bench,
) -> None:
    perp.say(facts.FundingPaid(instrument=PAIR, amount=-D(1) / D(7), funding_id="F"))
    for amount in ("100", "0.01", "1E-8", "123456789.12345678"):
        assert book(perp, K.DEPOSIT, "USD", amount)["accepted"], perp.answers[-1]


def convert(bench: Bench, source: str, amount: str, target: str, came: str) -> None:
    bench.do(
        msg.BookConversion(
            from_asset=source, from_amount=D(amount), to_asset=target, to_amount=D(came)
        )
    )
    assert bench.answers[-1]["accepted"], bench.answers[-1]


def test_the_cost_of_what_was_converted_goes_with_it() -> None:
    ledger = Ledger()
    pairs = [Instrument(name=f"{base}/USD", base=base, quote="USD") for base in ("XRP", "BTC")]
    started = ev.SessionStarted(
        session_id="s",
        mode=TradingMode.PAPER,
        venue="v",
        holder="",
        version="",
        instruments=tuple(pairs),
        strategies=(),
        started_at_us=0,
        recovery=False,
    )
    ledger.apply(started, 1)
    ledger.apply(ev.CapitalRecorded(kind="deposit", asset="XRP", amount=D(10), price=D(3)), 2)
    given = {"from_asset": "XRP", "from_amount": D(10), "to_asset": "BTC", "to_amount": D("0.5")}
    ledger.apply(ev.ConversionBooked(**given, realized=D(0), ref="c", who="", why=""), 3)
    assert {"BTC": D(60)} == ledger.inventory.prices()


def test_a_conversion_between_quote_assets_brings_or_costs_the_difference(spot: Bench) -> None:
    """Both count one for one, so that what is lost between them is lost."""
    pair = Instrument(name="XRP/USDT", base="XRP", quote="USDT")
    spot.engine.world.ledger.instruments["XRP/USDT"] = pair
    before = spot.engine.world.ledger.capital
    convert(spot, "USD", "500", "USDT", "499")
    assert before - 1 == spot.engine.world.ledger.capital


def test_the_same_part_of_the_profit_is_committed_once(spot: Bench) -> None:
    book(spot, K.REALIGNMENT, "USD", "100")
    before = spot.engine.world.ledger.net_basis
    book(spot, K.BASIS_COMMIT, "", "40")
    spot.tell(msg.SnapshotAccount("test"))
    answer = book(spot, K.BASIS_COMMIT, "", "40")
    assert before + 40 == spot.engine.world.ledger.net_basis, answer


@pytest.mark.parametrize(
    ("kind", "amount", "words"),
    [
        (K.BASIS_COMMIT, "NaN", "must be above zero"),
        (K.BASIS_COMMIT, "-3", "must be above zero"),
        (K.REALIGNMENT, "0", "changes nothing"),
        (K.REALIGNMENT, "NaN", "must be above zero"),
    ],
)
def test_an_amount_that_means_nothing_is_refused_in_words(
    spot: Bench, kind: CapitalKind, amount: str, words: str
) -> None:
    answer = book(spot, kind, "USD", amount)
    assert answer["accepted"] is False
    assert words in str(answer["error"])


@pytest.mark.parametrize(("at_us", "capital"), [(50, "1000"), (100, "1000"), (150, "990")])
def test_a_spot_fill_that_the_shared_wallet_held_already_is_not_taken_off_again(
    at_us: int, capital: str
) -> None:
    """A spot pair and a perpetual share USD: coins that were bought are no loss of capital."""
    ledger = Ledger()
    spot_pair = Instrument(name="ETH/USD", base="ETH", quote="USD")
    ledger.instruments = {one.name: one for one in (spot_pair, PERP)}
    ledger.apply(ev.CapitalRecorded(kind="opening", asset="USD", amount=D(1000), price=None), 1)
    told = {"asset": "USD", "wallet": D(990), "drift": D(-10), "venue_us": 100}
    ledger.apply(ev.CapitalAnchored(**told, origin="stream"), 2)
    fill = ev.OrderFilled(
        client_order_id="a",
        position_id="a",
        trade_id="t1",
        instrument="ETH/USD",
        side=Side.BUY,
        role=OrderRole.ENTRY,
        qty=D(1),
        price=D(10),
        fee=D(0),
        fee_asset=None,
        status=FillStatus.SETTLED,
        liquidity=Liquidity.TAKER,
        venue_us=at_us,
        session_id="s",
        state=OrderState.FILLED,
        filled_qty=D(1),
        avg_price=D(10),
        fees=D(0),
    )
    ledger.apply(fill, 3)
    assert D(990) == ledger.totals["USD"]
    assert D(capital) == ledger.capital


def test_shares_that_have_paid_out_are_no_deposit(tmp_path: Path) -> None:
    window = Instrument(name=PAIR, base="YES", quote="USD", kind=InstrumentKind.BINARY)
    bench = Bench(tmp_path, instrument=window, opening={"USD": D(1000)})
    assert book(bench, K.DEPOSIT, "YES", "5", price=D("0.5"))["accepted"]
    bench.say(facts.InstrumentResolved(instrument=PAIR, payout=D(1)))
    answer = book(bench, K.DEPOSIT, "YES", "5", price=D("0.5"), ref="late")
    assert f"{PAIR} has paid out" in str(answer.get("error"))
    assert {"USD": D(1005), "YES": D(0)} == bench.engine.world.ledger.totals
