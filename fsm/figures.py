"""What a session earned and what of it is certain: one value, decided by the ledger, copied by all.

Formulas that more than one reader needs (net, return) are here, so that no two of them differ.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from attrs import frozen

from fsm.money import divide


def net_of(realized: Decimal, converted: Decimal, funding: Decimal, fees: Decimal) -> Decimal:
    """Realized PnL after all cash flows of trading, quote units: fees are a cost, funding is
    positive when received."""
    return realized + converted + funding - fees


def return_pct(net: Decimal, basis: Decimal, unpriced: Collection[str]) -> Decimal | None:
    """`net` in percent of `basis`; None where that would say nothing (see `return_note`)."""
    if basis <= 0 or unpriced:
        return None
    return divide(net * 100, basis)


def return_note(basis: Decimal, unpriced: Collection[str]) -> str:
    """Why there is no return, and what to do about it; empty where there is one."""
    if unpriced:
        names = ", ".join(sorted(unpriced))
        return f"opening balance of {names} has no price: holdfast capital init-basis"
    if basis <= 0:
        return "the basis is 0: no capital was put in before"
    return ""


@frozen(slots=True, kw_only=True)
class SessionFigures:
    """A session's figures in quote units, as they were known when they were taken.

    What is booked in a session counts in it, whichever session the order is of (N27), so that the
    sessions add up to the account. `realized_*` split `realized_pnl` by provenance; what became
    certain of an earlier session's estimate moves from one part to the other here. `*_provisional`
    hang on fills of this session that may still be voided. `slippage_quote` is positive where it
    was worse than intended; of `slippage_unknown_fills` none can be stated. `basis` is the net
    basis that the session began with, opening balances that it adopted or priced included;
    `net_basis` the one that it ended with. `unpriced` are opening balances that nobody has valued.
    """

    session_id: str
    realized_pnl: Decimal
    fees: Decimal
    funding: Decimal
    converted: Decimal
    slippage_quote: Decimal
    slippage_unknown_fills: int
    realized_exchange: Decimal
    realized_estimate: Decimal
    realized_inferred: Decimal
    realized_provisional: Decimal
    fees_provisional: Decimal
    slippage_provisional: Decimal
    basis: Decimal
    net_basis: Decimal
    unpriced: tuple[str, ...] = ()

    @property
    def net_pnl(self) -> Decimal:
        """Realized, converted and funding less fees."""
        return net_of(self.realized_pnl, self.converted, self.funding, self.fees)

    @property
    def return_pct(self) -> Decimal | None:
        """`net_pnl` in percent of `basis`; None with a reason in `return_note`."""
        return return_pct(self.net_pnl, self.basis, self.unpriced)

    @property
    def return_note(self) -> str:
        """Why there is no return; empty where there is one."""
        return return_note(self.basis, self.unpriced)

    def columns(self) -> dict[str, Decimal | int | str | None]:
        """Every figure under its name in the table `sessions` and in the documents."""
        return {
            "realized_pnl": self.realized_pnl,
            "fees": self.fees,
            "funding": self.funding,
            "converted": self.converted,
            "net_pnl": self.net_pnl,
            "slippage_quote": self.slippage_quote,
            "slippage_unknown_fills": self.slippage_unknown_fills,
            "return_pct": self.return_pct,
            "return_note": self.return_note,
            "basis": self.basis,
            "net_basis": self.net_basis,
            "realized_exchange": self.realized_exchange,
            "realized_estimate": self.realized_estimate,
            "realized_inferred": self.realized_inferred,
            "realized_provisional": self.realized_provisional,
            "fees_provisional": self.fees_provisional,
            "slippage_provisional": self.slippage_provisional,
        }
