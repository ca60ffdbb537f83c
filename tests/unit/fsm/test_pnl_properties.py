"""The arithmetic keeps to the bound of rounding that `fsm.pnl` states; nothing is lost in it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st

from fsm.money import ZERO
from fsm.pnl import Holding, apply_fill

D = Decimal
UNIT = Fraction(1, 10**27)
Fill = tuple[Decimal, Decimal]

#: From dust of 1e-8 to a hundred million, and prices from a meme coin's to an index's.
sizes = st.one_of(
    st.integers(1, 10**16).map(lambda n: D(n).scaleb(-8)),
    st.integers(1, 999).map(lambda n: D(n).scaleb(-8)),
    st.integers(1, 10**8).map(D),
)
quantities = st.tuples(sizes, st.booleans()).map(lambda each: each[0] if each[1] else -each[0])
prices = st.one_of(
    st.integers(1, 10**15).map(lambda n: D(n).scaleb(-8)),
    st.integers(1, 9_999).map(lambda n: D(n).scaleb(-8)),
)
fills = st.lists(st.tuples(quantities, prices), min_size=1, max_size=40)
one_sided = st.lists(st.tuples(sizes, prices), min_size=1, max_size=40)


@frozen
class Folded:
    """What a run of fills leaves; realized as a fraction, so that the test adds no rounding."""

    holding: Holding
    realized: Fraction

    @property
    def at_cost(self) -> Fraction:
        return Fraction(self.holding.qty) * Fraction(self.holding.basis or ZERO)


def folded(run: list[Fill]) -> Folded:
    holding, realized = Holding(), Fraction(0)
    for qty, price in run:
        step = apply_fill(holding, qty, price)
        assert not step.price_missing
        holding, realized = step.holding, realized + Fraction(step.realized)
    return Folded(holding, realized)


def bound(run: list[Fill]) -> Fraction:
    """Q x P x (2n + 1) x 1e-27, as `fsm.pnl` says."""
    turned = sum((abs(Fraction(qty)) for qty, _ in run), Fraction(0))
    return turned * Fraction(max(price for _, price in run)) * (2 * len(run) + 1) * UNIT


def basis_bound(run: list[Fill], basis: Decimal) -> Fraction:
    return 2 * len(run) * UNIT * Fraction(basis)


THIRDS = [(D(3), D(1)), (D("0.00000007"), D("0.00000003")), (D(-1), D("99999.99999999"))]


@given(fills)
@example(THIRDS)
def test_cash_and_inventory_at_cost_are_conserved(run: list[Fill]) -> None:
    """What was paid is in what is held at its cost or was realized, through flips and dust."""
    end = folded(run)
    cash = sum((-Fraction(qty) * Fraction(price) for qty, price in run), Fraction(0))
    assert sum((qty for qty, _ in run), ZERO) == end.holding.qty
    assert abs(cash + end.at_cost - end.realized) <= bound(run)


@given(fills, st.integers(0, 39), st.integers(1, 99))
@example(THIRDS, 1, 50)
def test_splitting_a_fill_in_two_changes_only_rounding(
    run: list[Fill], at: int, percent: int
) -> None:
    at %= len(run)
    qty, price = run[at]
    part = qty * percent / 100
    split = [*run[:at], (part, price), (qty - part, price), *run[at + 1 :]]
    whole, parts = folded(run), folded(split)
    assert whole.holding.qty == parts.holding.qty
    assert abs(whole.realized - parts.realized) <= 2 * bound(split)
    assert abs(whole.at_cost - parts.at_cost) <= 2 * bound(split)
    if whole.holding.basis is not None and parts.holding.basis is not None:
        off = abs(Fraction(whole.holding.basis) - Fraction(parts.holding.basis))
        assert off <= 2 * basis_bound(split, whole.holding.basis)
    assert (whole.holding.basis is None) is (parts.holding.basis is None)


@given(st.data(), one_sided, st.sampled_from((1, -1)))
def test_the_order_of_fills_of_one_side_does_not_matter_to_the_basis(
    data: st.DataObject, run: list[Fill], sign: int
) -> None:
    run = [(sign * qty, price) for qty, price in run]
    one, other = folded(run), folded(data.draw(st.permutations(run)))
    assert one.holding.qty == other.holding.qty
    assert 0 == one.realized == other.realized
    assert one.holding.basis is not None
    assert other.holding.basis is not None
    off = abs(Fraction(one.holding.basis) - Fraction(other.holding.basis))
    assert off <= 2 * basis_bound(run, one.holding.basis)


@given(one_sided)
def test_the_basis_is_the_exact_average_within_its_bound_and_between_the_prices(
    run: list[Fill],
) -> None:
    basis = folded(run).holding.basis
    assert basis is not None
    exact = sum((Fraction(q) * Fraction(p) for q, p in run), Fraction(0)) / sum(
        (Fraction(q) for q, _ in run), Fraction(0)
    )
    assert abs(exact - Fraction(basis)) <= basis_bound(run, basis)
    slack = basis_bound(run, basis)
    paid = [Fraction(price) for _, price in run]
    assert min(paid) - slack <= Fraction(basis) <= max(paid) + slack


@given(one_sided, st.lists(st.tuples(st.integers(1, 99), prices), max_size=10))
def test_reducing_leaves_the_basis_as_it_is_to_the_last_dust(
    run: list[Fill], sales: list[tuple[int, Decimal]]
) -> None:
    holding = folded(run).holding
    basis = holding.basis
    for percent, price in sales:
        sold = (holding.qty * percent / 100).quantize(D("1e-8"))
        if not 0 < sold < holding.qty:
            continue
        step = apply_fill(holding, -sold, price)
        holding = step.holding
        assert basis == holding.basis
        assert (step.realized > 0) is (price > (basis or ZERO))
    if holding.qty:
        assert Holding() == apply_fill(holding, -holding.qty, D(1)).holding


@given(fills, quantities, prices, prices)
def test_a_flip_closes_all_at_the_old_basis_and_opens_the_rest_at_its_own_price(
    run: list[Fill], beyond: Decimal, price: Decimal, later: Decimal
) -> None:
    held = folded(run).holding
    if held.qty == 0:
        return
    rest = abs(beyond) if held.qty < 0 else -abs(beyond)
    flip = apply_fill(held, rest - held.qty, price)
    closed = apply_fill(held, -held.qty, price)
    assert (Holding(), Holding(rest, price)) == (closed.holding, flip.holding)
    assert closed.realized == flip.realized
    back = apply_fill(flip.holding, -rest, later)
    assert Holding() == back.holding
    assert abs(Fraction(rest) * (Fraction(later) - Fraction(price)) - Fraction(back.realized)) <= (
        abs(Fraction(back.realized)) * UNIT
    )
