"""What venues and textbooks publish as worked examples, folded by the real arithmetic.

PnL 1 to 14 are the rows of a table of examples that venues print in their help pages; each test
names the venue and the page. Weighted average cost comes from five published exercises. Where a
page rounds on the way, ours is the exact figure, and the test says by how much the page is off.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from actors.chaos.reading import read_scenario
from actors.chaos.scenario import ScenarioError
from actors.cli.main import main
from actors.cli.options import USAGE
from actors.config import ConfigError, load_config
from fsm import events as ev
from fsm.money import ZERO
from fsm.pnl import Holding, apply_fill, unrealized
from fsm.vocabulary import OrderRole, Side
from storage.ledger import Ledger
from tests.unit.storage.stories import PERP, Story

D = Decimal
#: A basis has 28 significant digits, and the figures here have at most seven before the point.
ROUNDING = Fraction(1, 10**14)
CENT = D("0.01")


def run(*steps: tuple[str, str]) -> tuple[Holding, Decimal]:
    """The holding and the realized sum after signed fills at their prices."""
    holding, realized = Holding(), ZERO
    for qty, price in steps:
        step = apply_fill(holding, D(qty), D(price))
        holding, realized = step.holding, realized + step.realized
    return holding, realized


def booked(story: Story) -> Ledger:
    ledger = Ledger()
    for seq, event in enumerate(story.events, 1):
        ledger.apply(event, seq)
    return ledger


def traded(
    *steps: tuple[str, str], fees: tuple[str, ...] = (), leverage: str = "1"
) -> tuple[Story, Ledger]:
    """The same fills as orders of one perpetual position, through the ledger."""
    story = Story.begun(USDT="1000000")
    for number, (qty, price) in enumerate(steps):
        side = Side.BUY if D(qty) > 0 else Side.SELL
        size, name = qty.lstrip("-"), f"o{number}"
        role = OrderRole.ENTRY if number == 0 else OrderRole.EXIT
        story.working(
            name, side, size, price=price, position_id="p", role=role, instrument=PERP,
            leverage=leverage,
        )  # fmt: skip
        story.fill(name, size, price, fee=fees[number] if fees else "0")
    return story, booked(story)


# -- PnL and average entry -------------------------------------------------------------------------

AVERAGES = {
    "3 Bybit 900000630066": ([("0.5", "5000"), ("0.3", "6000")], "5375"),
    "10 AscendEX 36339": ([("10", "10000"), ("10", "12000")], "11000"),
}
OPEN = {
    "1 BingX 20034446449049": ("0.2", "27000", "27500", "100"),
    "4 Bybit 900000630066": ("0.2", "7000", "7500", "100"),
    "5 Bybit 900000630066": ("-0.4", "6000", "5000", "400"),
    "11 AscendEX 36339": ("10", "10000", "12000", "20000"),
    "12 BKEX 4403718890393 long": ("10", "7000", "8000", "10000"),
    "12 BKEX 4403718890393 short": ("-10", "7000", "6000", "10000"),
    "13 Binance 360039304272 long": ("1", "5000", "5500", "500"),
    "13 Binance 360039304272 short": ("-1", "5000", "4500", "500"),
}


@pytest.mark.parametrize("source", AVERAGES)
def test_average_entry(source: str) -> None:
    fills, average = AVERAGES[source]
    assert (D(average), ZERO) == (run(*fills)[0].basis, run(*fills)[1])
    _, ledger = traded(*fills)
    assert D(average) == ledger.net(PERP.name).basis


@pytest.mark.parametrize("source", OPEN)
def test_profit_of_an_open_position_and_of_closing_it_there(source: str) -> None:
    """Number 1 leaves out fees and funding, and may take the last price or the mark: the price is
    whoever calls' choice, here it is the one that the page prints."""
    qty, entry, last, profit = OPEN[source]
    assert D(profit) == unrealized(run((qty, entry))[0], D(last))
    closing = (f"{-D(qty)}", last)
    assert (Holding(), D(profit)) == run((qty, entry), closing)
    for leverage in ("1", "5"):  # what it may borrow changes margin, never profit
        _, ledger = traded((qty, entry), closing, leverage=leverage)
        assert D(profit) == ledger.realized_pnl, leverage


def test_6_bybit_closed_pnl_net_of_fees_and_funding() -> None:
    """Short 0.4 at 6,000 closed at 5,000; fees 1.32 and 1.10, funding paid 2.10: 395.48. Each
    of the three is kept by itself, and capital and wallet move by their sum."""
    story, ledger = traded(("-0.4", "6000"), ("0.4", "5000"), fees=("1.32", "1.10"))
    before = ledger.totals["USDT"]
    story.tell(
        ev.FundingBooked(instrument=PERP.name, asset="USDT", amount=D("-2.10"), funding_id="f")
    )
    ledger = booked(story)
    assert (D(400), D("2.42"), D("-2.10")) == (
        ledger.realized_pnl, ledger.fees_paid, ledger.funding,
    )  # fmt: skip
    assert D("395.48") == ledger.realized_pnl - ledger.fees_paid + ledger.funding
    assert D("395.48") == ledger.totals["USDT"] - 1_000_000
    assert D("-2.10") == ledger.totals["USDT"] - before


@pytest.mark.parametrize(
    ("close", "try_per_usdt", "profit"),
    [("10000", "30", "125"), ("10000", "25", "150"), ("10000", "35", "107.14"),
     ("12000", "35", "214.29")],
)  # fmt: skip
def test_2_bingx_contract_settled_in_another_currency_than_its_quote(
    close: str, try_per_usdt: str, profit: str
) -> None:
    """bingx 23509140761625: 100 USDT at x5 long at 8,000 TRY while 1 USDT is 30 TRY: 500 USDT are
    15,000 TRY are 1.875 units. The profit is linear in TRY, and that is what is booked; the venue
    pays it out in USDT at the rate of the close: a conversion outside of the arithmetic."""
    qty = D(100) * 5 * 30 / 8000
    holding, realized = run((str(qty), "8000"), (str(-qty), close))
    assert Holding() == holding
    assert qty * (D(close) - 8000) == realized
    assert D(profit) == (realized / D(try_per_usdt)).quantize(CENT)


def test_14_quantities_are_base_units() -> None:
    """dev.binance.vision t/11463: a "size" of 6.645 was quote units: 0.03 coins at 221.23. Taken
    for coins, the loss of the short is 221 times what it was."""
    coins = (D("6.645") / D("221.23")).quantize(CENT)
    assert D("0.03") == coins
    _, lost = run((str(-coins), "221.23"), (str(coins), "221.47"))
    assert D("-0.0072") == lost
    assert D("-1.59480") == run(("-6.645", "221.23"), ("6.645", "221.47"))[1]


# -- inverse contracts are refused -----------------------------------------------------------------

INVERSE = {
    "7 Bybit inverse: 1,000 USD at 5,000 and 2,000 at 6,000, average 5,625": "inverse",
    "8 Bybit inverse: long 1,000 at 5,000, last 5,500, 0.0181818 BTC": "inverse",
    "9 coinlocally coin-margined: short 1,000 at 5,000, mark 4,500, 0.0222222 BTC": "coin-margined",
}


@pytest.mark.parametrize("source", INVERSE)
def test_an_inverse_contract_is_refused_in_one_line(source: str, tmp_path: Path) -> None:
    """Linear arithmetic would give another figure: refused rather than booked wrongly."""
    kind = INVERSE[source]
    file = tmp_path / "holdfast.toml"
    file.write_text(
        f'[instruments."BTC/USD"]\nbase = "BTC"\nquote = "USD"\nkind = "{kind}"\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as refused:
        load_config(file)
    line = str(refused.value)
    assert line.startswith(f"{file}:4: instruments.BTC/USD.kind: inverse (coin-margined) contracts")
    assert "are not supported" in line
    assert "\n" not in line
    scenario = tmp_path / "s.toml"
    scenario.write_text(
        f'name = "x"\n[venue]\nkind = "{kind}"\n[[step]]\nexpect = {{ "mode.state" = "ACTIVE" }}\n',
        encoding="utf-8",
    )
    with pytest.raises(ScenarioError, match=r"venue.kind: inverse .* are not supported"):
        read_scenario(scenario)
    assert [USAGE, USAGE] == [
        main(["config", "check", "--config", str(file)]),
        main(["chaos", "run", str(scenario)]),
    ]


def test_7_a_linear_average_is_not_that_of_an_inverse_contract() -> None:
    """Why it is refused: the inverse average of 1,000 at 5,000 and 2,000 at 6,000 is 5,625."""
    linear = run(("1000", "5000"), ("2000", "6000"))[0].basis
    inverse = Fraction(3000) / (Fraction(1000, 5000) + Fraction(2000, 6000))
    assert Fraction(5625) == inverse
    assert linear is not None
    assert abs(Fraction(linear) - Fraction(17000, 3)) < ROUNDING


# -- weighted average cost -------------------------------------------------------------------------

#: Fills (a price of None is a sale: what it brought does not matter to its cost) with the average
#: after each; what each sale costs; what is left, and what that cost. Exact, as fractions.
WAC = {
    "instantcertcredit.com lesson 318": (
        [("500", "2.40", "2.40"), ("-300", None, "2.40"), ("100", "3.50", "83/30"),
         ("-250", None, "83/30"), ("300", "4.00", "803/210")],
        ["720", "2075/3"], ("350", "4015/3"),
    ),
    "blogspot maxshrtlnk (Monson)": (
        [("18", "14", "14"), ("33", "21", "945/51"), ("-28", None, "945/51"),
         ("28", "25", "19145/867")],
        ["26460/51"], ("51", "19145/17"),
    ),
    "analystforum 121754 (CFA)": (
        [("2", "2", "2"), ("3", "3", "2.60"), ("-4", None, "2.60"), ("5", "5", "4.60"),
         ("-3", None, "4.60")],
        ["10.40", "13.80"], ("3", "13.80"),
    ),
    "tutorsglobe 53259250": (
        [("310", "9", "9"), ("-160", None, "9"), ("350", "11", "10.40"), ("-400", None, "10.40")],
        ["1440", "4160"], ("100", "1040"),
    ),
    "bartleby 742e5720": (
        [("4000", "40", "40"), ("-2500", None, "40"), ("4500", "44", "43"), ("-5000", None, "43"),
         ("2000", "46", "45")],
        ["100000", "215000"], ("3000", "135000"),
    ),
}  # fmt: skip
SALE = D(100)


def near(expected: str | Fraction, actual: Decimal | None) -> bool:
    return actual is not None and abs(Fraction(expected) - Fraction(actual)) < ROUNDING


@pytest.mark.parametrize("source", WAC)
def test_weighted_average_cost_of_a_position(source: str) -> None:
    fills, costs, (left_qty, left_cost) = WAC[source]
    holding, seen = Holding(), []
    for qty, price, average in fills:
        step = apply_fill(holding, D(qty), SALE if price is None else D(price))
        holding = step.holding
        assert near(average, holding.basis), (qty, holding)
        if price is None:
            seen.append(-D(qty) * SALE - step.realized)
    assert len(costs) == len(seen)
    assert all(near(cost, sold) for cost, sold in zip(costs, seen, strict=True)), seen
    assert D(left_qty) == holding.qty
    assert near(left_cost, holding.qty * (holding.basis or ZERO))


@pytest.mark.parametrize("source", WAC)
def test_weighted_average_cost_of_the_account(source: str) -> None:
    """The same through the ledger's events: its `wac` after each fill, and its balances."""
    fills, _, (left_qty, _) = WAC[source]
    story = Story.begun(RLUSD="1000000")
    for number, (qty, price, average) in enumerate(fills):
        at = str(SALE) if price is None else price
        side = Side.BUY if D(qty) > 0 else Side.SELL
        role = OrderRole.ENTRY if number == 0 else OrderRole.EXIT
        story.working(f"o{number}", side, qty.lstrip("-"), price=at, position_id="p", role=role)
        story.fill(f"o{number}", qty.lstrip("-"), at)
        assert near(average, booked(story).view().wac["XRP"]), number
    ledger = booked(story)
    paid = sum((D(qty) * (SALE if p is None else D(p)) for qty, p, _ in fills), ZERO)
    assert (D(left_qty), 1_000_000 - paid) == (ledger.totals["XRP"], ledger.totals["RLUSD"])


def test_the_average_does_not_leak_what_a_page_leaks_that_rounds_it() -> None:
    """instantcertcredit rounds 830/300 to 2.77: its second sale costs 692.50 where 691.67 is exact,
    and cost sold and cost left make 2,751 of the 2,750 that was paid. Ours is rounded at the 28th
    digit and gives back what was paid."""
    holding, realized = run(
        ("500", "2.40"), ("-300", "0"), ("100", "3.50"), ("-250", "0"), ("300", "4.00")
    )
    assert holding.basis is not None
    assert D("691.67") == (D(-720) - realized).quantize(CENT)
    assert D("0.83") == D("692.50") - (-D(720) - realized).quantize(CENT)
    assert D("1338.33") == (holding.qty * holding.basis).quantize(CENT)
    total = -realized + holding.qty * holding.basis
    assert D(2750) == total.quantize(D("1e-20"))


def test_monson_is_off_by_what_the_page_rounds() -> None:
    """It prints 518.56 (at an average of 18.52) and 1,125.96; exact are 518.82 and 1,126.18."""
    holding, realized = run(("18", "14"), ("33", "21"), ("-28", "0"), ("28", "25"))
    assert holding.basis is not None
    assert D("518.82") == (-realized).quantize(CENT)
    assert D("1126.18") == (holding.qty * holding.basis).quantize(CENT)
