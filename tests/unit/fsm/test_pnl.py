"""Average-cost arithmetic: against an exact model in fractions, and against published figures."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

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
