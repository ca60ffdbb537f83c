"""Average-cost arithmetic of one position: side-signed, leverage-free, gross of fees.

Increasing moves the basis to the weighted average; reducing realizes closed quantity x (price -
basis); a fill through zero closes at the old basis and reopens at its own price. Only the division
of the basis rounds (half-even, 28 digits), so that sums stay exact.
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
