"""The account as it is published: one frozen, versioned value that readers may keep."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen


@frozen(slots=True)
class Balance:
    """One asset: what is there, what open orders hold back, and the difference."""

    total: Decimal
    reserved: Decimal

    @property
    def free(self) -> Decimal:
        """What a new order may use."""
        return self.total - self.reserved


@frozen(slots=True, kw_only=True)
class AccountView:
    """The published account: frozen, swapped by one reference.

    `capital_seq` is the event that made the capital figure, `event_seq` the last one folded: the
    version. Figures are quote units; `realized_by` splits `realized_pnl` by provenance, and
    `realized_provisional` is the part of it that may still be voided. `wallet` is what the margin
    wallets hold by the venue's word and the facts since; None without margined instruments.
    """

    capital: Decimal
    capital_source: str
    capital_seq: int
    net_basis: Decimal
    realized_pnl: Decimal
    realized_by: dict[str, Decimal]
    realized_provisional: Decimal
    fees_paid: Decimal
    funding: Decimal
    wallet: Decimal | None
    unpriced: dict[str, Decimal]
    event_seq: int
    balances: dict[str, Balance]
    wac: dict[str, Decimal]
    margin_used: Decimal
    margin_free: Decimal
    open_notional: Decimal
