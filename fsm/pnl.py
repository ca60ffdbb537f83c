"""Average-cost arithmetic of one position: side-signed, leverage-free, gross of fees.

Increasing moves the basis to the weighted average; reducing realizes closed quantity x (price -
basis); a fill through zero closes at the old basis and reopens at its own price.

Rounding. Every result has 28 significant digits, half-even: each rounding is off by 5e-28 of it
at most. Quantities are sums of at most 28 digits and stay exact. With prices above 0 a weighted
average adds numbers of one sign, so that nothing cancels: its two products, their sum and the
division are four roundings, 2e-27 of the basis for each fill that grows the position; reducing it
rounds no basis at all. After n fills since it was flat the basis is within n x 2e-27 of the exact
one. Realizing rounds twice more, 1e-27 of the figure. So over n fills of a total quantity Q at
prices up to P, realized PnL and what is open at its basis are together within Q x P x (2n + 1) x
1e-27 of the cash that was paid and received; and to split a fill in two, or to reorder fills of
one side, changes no figure by more than twice its own bound. A million fills of a billion units
in all, at a price of a million: 2e-6.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from fsm.money import ZERO, divide


@frozen(slots=True)
class Holding:
    """A signed quantity at a basis; the basis is None when flat, or when no price is known."""

    qty: Decimal = ZERO
    basis: Decimal | None = None


@frozen(slots=True)
class Step:
    """The holding after a fill, what it realized, and whether a missing price hid something."""

    holding: Holding
    realized: Decimal
    price_missing: bool = False


def apply_fill(holding: Holding, qty_delta: Decimal, price: Decimal | None) -> Step:
    """Book a signed fill at its true price.

    Without a price the size moves, nothing is realized and the step says so (P01): the settlement
    that follows repairs it. A mark or a nominal price is never used instead.
    """
    before, after = holding.qty, holding.qty + qty_delta
    if before == 0 or (before > 0) == (qty_delta > 0):
        return Step(
            Holding(after, _grown_basis(holding, qty_delta, price, after)), ZERO, price is None
        )
    closed = min(abs(qty_delta), abs(before))
    signed_closed = closed if before > 0 else -closed
    missing = price is None or holding.basis is None
    realized = ZERO if missing else signed_closed * (price - holding.basis)  # type: ignore[operator]
    if after == 0:
        return Step(Holding(), realized, missing)
    flipped = (after > 0) != (before > 0)
    return Step(Holding(after, price if flipped else holding.basis), realized, missing)


def _grown_basis(
    holding: Holding, qty_delta: Decimal, price: Decimal | None, after: Decimal
) -> Decimal | None:
    if price is None or (holding.qty != 0 and holding.basis is None):
        return holding.basis
    if holding.basis is None:
        return price
    if holding.basis == price:
        return price
    return divide(holding.qty * holding.basis + qty_delta * price, after)


def unrealized(holding: Holding, mark: Decimal | None) -> Decimal:
    """Open profit at the mark; 0 when there is no mark or no basis (a mark is never a basis)."""
    if mark is None or holding.basis is None:
        return ZERO
    return holding.qty * (mark - holding.basis)
