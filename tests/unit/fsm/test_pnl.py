"""Average-cost arithmetic: against an exact model in fractions, and against published figures."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsm.money import ZERO
from fsm.pnl import Holding, Step, apply_fill, unrealized

D = Decimal
#: The basis has 28 significant digits; figures here stay below 1e9 and a run below 40 fills.
ROUNDING = Fraction(1, 10**14)

Fill = tuple[Decimal, Decimal]
quantities = st.integers(-(10**7), 10**7).filter(bool).map(lambda n: D(n).scaleb(-4))
prices = st.integers(1, 10**8).map(lambda n: D(n).scaleb(-3))
fills = st.lists(st.tuples(quantities, prices), max_size=40)


def run(*steps: tuple[str, str | None]) -> tuple[Holding, Decimal]:
    """The holding and the realized sum after signed fills, given as text."""
    holding, realized = Holding(), ZERO
    for qty, price in steps:
        step = apply_fill(holding, D(qty), None if price is None else D(price))
        holding, realized = step.holding, realized + step.realized
    return holding, realized


def exact(fills: list[Fill]) -> tuple[Fraction, Fraction, Fraction]:
    """Quantity, its cost and realized PnL: the naive model, one unit of arithmetic at a time."""
    qty = cost = realized = Fraction(0)
    for delta, price in ((Fraction(d), Fraction(p)) for d, p in fills):
        if qty * delta < 0:
            closing = delta if abs(delta) <= abs(qty) else -qty
            share = cost * closing / qty  # negative: the part of the cost that leaves
            realized += -closing * price + share
            qty, cost, delta = qty + closing, cost + share, delta - closing
        qty, cost = qty + delta, cost + delta * price
    return qty, cost, realized


def folded(fills: list[Fill]) -> tuple[Holding, Decimal]:
    holding, realized = Holding(), ZERO
    for delta, price in fills:
        step = apply_fill(holding, delta, price)
        holding, realized = step.holding, realized + step.realized
    return holding, realized


@given(fills)
def test_the_fold_equals_the_exact_model(fills: list[Fill]) -> None:
    holding, realized = folded(fills)
    qty, cost, exact_realized = exact(fills)
    assert qty == Fraction(holding.qty)
    assert abs(exact_realized - Fraction(realized)) < ROUNDING
    if qty:
        assert holding.basis is not None
        assert abs(cost / qty - Fraction(holding.basis)) < ROUNDING
    else:
        assert holding.basis is None


@given(fills, prices)
def test_realized_and_unrealized_add_up_to_the_cash(fills: list[Fill], mark: Decimal) -> None:
    """Whatever the order of fills: what was paid, and what is held at the mark."""
    holding, realized = folded(fills)
    cash = sum((-Fraction(d) * Fraction(p) for d, p in fills), Fraction(0))
    worth = Fraction(holding.qty) * Fraction(mark)
    assert abs(cash + worth - Fraction(realized + unrealized(holding, mark))) < ROUNDING


@given(fills)
def test_a_mirrored_book_mirrors_everything(fills: list[Fill]) -> None:
    """Long and short are the same arithmetic with the other sign: no side is favoured."""
    holding, realized = folded(fills)
    mirrored, mirrored_realized = folded([(-d, p) for d, p in fills])
    assert (-holding.qty, holding.basis) == (mirrored.qty, mirrored.basis)
    assert -realized == mirrored_realized


@given(quantities, prices, quantities, prices)
def test_a_fill_through_zero_closes_and_reopens(
    first: Decimal, price: Decimal, second: Decimal, later: Decimal
) -> None:
    if first * second > 0:
        second = -second
    step = apply_fill(Holding(first, price), second, later)
    closing = max(min(second, abs(first)), -abs(first))
    closed = apply_fill(Holding(first, price), closing, later)
    assert closed.realized == step.realized
    if abs(second) > abs(first):
        assert Holding(first + second, later) == step.holding
        reopened = apply_fill(closed.holding, second - closing, later)
        assert step.holding == reopened.holding
        assert reopened.realized == ZERO


@given(quantities, prices, st.integers(2, 9))
def test_slices_of_one_price_equal_one_fill(qty: Decimal, price: Decimal, parts: int) -> None:
    holding, realized = folded([(qty, price)] * parts)
    assert (Holding(qty * parts, price), ZERO) == (holding, realized)


def test_without_a_price_the_size_moves_and_nothing_is_realized() -> None:  # P01
    held = Holding(D(10), D(100))
    assert Step(Holding(D(6), D(100)), ZERO, True) == apply_fill(held, D(-4), None)
    assert Step(Holding(), ZERO, True) == apply_fill(held, D(-10), None)
    assert Step(Holding(D(-2), None), ZERO, True) == apply_fill(held, D(-12), None)
    assert Step(Holding(D(3), None), ZERO, True) == apply_fill(Holding(), D(3), None)


def test_an_unknown_basis_is_never_invented() -> None:
    unknown = Holding(D(3), None)
    assert Step(Holding(D(4), None), ZERO, False) == apply_fill(unknown, D(1), D(50))
    assert Step(Holding(D(2), None), ZERO, True) == apply_fill(unknown, D(-1), D(50))
    assert unrealized(unknown, D(50)) == ZERO
    assert unrealized(Holding(D(3), D(10)), None) == ZERO


# -- published figures: numbers 3 to 6 and 10 to 13 of the venues' help pages --------------------


@pytest.mark.parametrize(
    ("steps", "average"),
    [
        ([("0.5", "5000"), ("0.3", "6000")], "5375"),
        ([("10", "10000"), ("10", "12000")], "11000"),
    ],
    ids=["bybit-3", "ascendex-10"],
)
def test_published_average_entry(steps: list[tuple[str, str]], average: str) -> None:
    holding, realized = run(*steps)
    assert (D(average), ZERO) == (holding.basis, realized)


@pytest.mark.parametrize(
    ("qty", "entry", "mark", "expected"),
    [
        ("0.2", "7000", "7500", "100"),
        ("-0.4", "6000", "5000", "400"),
        ("10", "10000", "12000", "20000"),
        ("10", "7000", "8000", "10000"),
        ("1", "5000", "5500", "500"),
        ("-1", "5000", "4500", "500"),
    ],
    ids=["bybit-4", "bybit-5", "ascendex-11", "bkex-12-long", "binance-13-long", "binance-13"],
)
def test_published_unrealized(qty: str, entry: str, mark: str, expected: str) -> None:
    assert D(expected) == unrealized(run((qty, entry))[0], D(mark))
    # Closing there realizes what was open.
    assert (Holding(), D(expected)) == run((qty, entry), (str(-D(qty)), mark))


@pytest.mark.parametrize(
    ("qty", "entry", "close", "expected"),
    [("-0.4", "6000", "5000", "400"), ("-10", "7000", "6000", "10000")],
    ids=["bybit-6-gross", "bkex-12-short"],
)
def test_published_realized(qty: str, entry: str, close: str, expected: str) -> None:
    assert (Holding(), D(expected)) == run((qty, entry), (str(-D(qty)), close))


def test_published_net_of_fees_and_funding() -> None:
    """Number 6: fees and funding are kept apart and only subtracted at the end."""
    _, gross = run(("-0.4", "6000"), ("0.4", "5000"))
    assert D("395.48") == gross - D("1.32") - D("1.10") - D("2.10")


# -- published tables of weighted average cost ---------------------------------------------------

# (fills; None as a price marks a sale, whose proceeds do not matter to its cost), then for each
# sale its cost, then the quantity and the cost that are left: exact values, as fractions.
WAC = {
    "instantcertcredit": (
        [("500", "2.40"), ("-300", None), ("100", "3.50"), ("-250", None), ("300", "4.00")],
        [Fraction(720), Fraction(2075, 3)],
        ("350", Fraction(415, 3) + 1200),
    ),
    "monson": (
        [("18", "14"), ("33", "21"), ("-28", None), ("28", "25")],
        [Fraction(945, 51) * 28],
        ("51", Fraction(945, 51) * 23 + 700),
    ),
    "analystforum": (
        [("2", "2"), ("3", "3"), ("-4", None), ("5", "5"), ("-3", None)],
        [Fraction("10.40"), Fraction("13.80")],
        ("3", Fraction("13.80")),
    ),
    "tutorsglobe": (
        [("310", "9"), ("-160", None), ("350", "11"), ("-400", None)],
        [Fraction(1440), Fraction(4160)],
        ("100", Fraction(1040)),
    ),
    "bartleby": (
        [("4000", "40"), ("-2500", None), ("4500", "44"), ("-5000", None), ("2000", "46")],
        [Fraction(100000), Fraction(215000)],
        ("3000", Fraction(135000)),
    ),
}


@pytest.mark.parametrize("name", WAC)
def test_published_weighted_average_cost(name: str) -> None:
    fills, costs, (left_qty, left_cost) = WAC[name]
    sale_price, holding, seen = D(100), Holding(), []
    for qty, price in fills:
        step = apply_fill(holding, D(qty), sale_price if price is None else D(price))
        if price is None:
            seen.append(Fraction(-D(qty) * sale_price) - Fraction(step.realized))
        holding = step.holding
    assert all(abs(e - a) < ROUNDING for e, a in zip(costs, seen, strict=True)), seen
    assert D(left_qty) == holding.qty
    assert holding.basis is not None
    assert abs(left_cost - Fraction(holding.qty) * Fraction(holding.basis)) < ROUNDING


def test_the_average_does_not_leak_what_a_rounded_page_leaks() -> None:
    """The page that rounds its average to 2.77 loses 0.83 of 2,750; ours loses nothing."""
    holding, realized = run(
        ("500", "2.40"), ("-300", "0"), ("100", "3.50"), ("-250", "0"), ("300", "4.00")
    )
    assert holding.basis is not None
    total = -realized + holding.qty * holding.basis
    assert D("2750.00") == total.quantize(D("1e-20"))
