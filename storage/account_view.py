"""The account as it is published: one frozen, versioned value that readers may keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import frozen

from fsm.figures import SessionFigures, return_note, return_pct
from fsm.money import DIVISION, EXACT, ZERO
from storage.exposures import OpenQty
from storage.session_sums import session_figures

if TYPE_CHECKING:
    from fsm.market import Tick
    from storage.ledger import Ledger


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
    """The published account: frozen, swapped by one reference; who holds one never sees it change.

    `event_seq` is the last event that the account heeded: the version. `capital_seq` is the event
    that made the capital figure. Figures are quote units; `realized_by` splits `realized_pnl` by
    provenance, `*_provisional` are the parts that may still be voided. `wallet` is what the margin
    wallets hold by the venue's word and the facts since; None without margined instruments.
    `open` is what the open positions of an instrument cost, `session` the session so far.
    """

    capital: Decimal
    capital_source: str
    capital_seq: int
    net_basis: Decimal
    realized_pnl: Decimal
    realized_by: Mapping[str, Decimal]
    realized_provisional: Decimal
    fees_paid: Decimal
    fees_provisional: Decimal
    funding: Decimal
    converted: Decimal
    net_pnl: Decimal
    slippage_quote: Decimal
    slippage_provisional: Decimal
    slippage_unknown_fills: int
    wallet: Decimal | None
    unpriced: Mapping[str, Decimal]
    event_seq: int
    balances: Mapping[str, Balance]
    wac: Mapping[str, Decimal]
    margin_used: Decimal
    margin_free: Decimal
    open_notional: Decimal
    open: Mapping[str, OpenQty]
    session: SessionFigures

    @property
    def return_pct(self) -> Decimal | None:
        """`net_pnl` in percent of `net_basis`; None with a reason in `return_note`."""
        return return_pct(self.net_pnl, self.net_basis, self.unpriced)

    @property
    def return_note(self) -> str:
        """Why there is no return; empty where there is one."""
        return return_note(self.net_basis, self.unpriced)


def account_view(ledger: Ledger) -> AccountView:
    """The account as the ledger says it now; nothing of it moves when the ledger goes on."""
    known, funds = ledger.provenance, ledger.funds
    assets = sorted(ledger.totals.keys() | ledger.reserved.keys())
    return AccountView(
        capital=ledger.capital,
        capital_source=funds.source,
        capital_seq=funds.seq,
        net_basis=ledger.net_basis,
        realized_pnl=DIVISION.plus(ledger.realized_pnl),
        realized_by={
            "exchange": DIVISION.plus(known.exchange),
            "kernel_estimate": DIVISION.plus(known.kernel_estimate),
            "inferred": DIVISION.plus(known.inferred),
        },
        realized_provisional=DIVISION.plus(known.hanging.realized),
        fees_paid=DIVISION.plus(ledger.fees_paid),
        fees_provisional=DIVISION.plus(known.hanging.fees),
        funding=DIVISION.plus(ledger.funding),
        converted=funds.converted,
        net_pnl=ledger.net_pnl,
        slippage_quote=DIVISION.plus(ledger.slippage),
        slippage_provisional=DIVISION.plus(known.hanging.slippage),
        slippage_unknown_fills=ledger.slippage_unknown,
        wallet=ledger.wallet,
        unpriced=dict(funds.unpriced),
        event_seq=ledger.seq,
        balances={asset: ledger.balance(asset) for asset in assets},
        wac=ledger.inventory.prices(),
        margin_used=ledger.margin_used,
        margin_free=ledger.margin_free,
        open_notional=ledger.open_notional,
        open=ledger.exposures.open(),
        session=session_figures(ledger),
    )


def unrealized_pnl(
    open_by: Mapping[str, OpenQty], quote_of: Callable[[str], Tick | None]
) -> Decimal:
    """Open profit of all positions at their marks, quote units; an instrument without a quote
    counts at its basis."""
    total = ZERO
    for name, held in open_by.items():
        quote = quote_of(name)
        if quote is not None:
            total = EXACT.add(total, held.unrealized(quote.bid, quote.ask))
    return DIVISION.plus(total)
