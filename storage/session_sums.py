"""What a session moved: the ledger's sums now less what they were when the session began.

No sum of its own (L7): one figure of the ledger, read at two moments.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import define

from fsm.figures import SessionFigures
from fsm.money import DIVISION, EXACT, ZERO

if TYPE_CHECKING:
    from storage.ledger import Ledger


@define(slots=True)
class Before:
    """The ledger's sums when the session began. `basis` is what the session is measured by: the
    net basis then, with the opening balances that it adopted or priced."""

    session_id: str = ""
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    converted: Decimal = ZERO
    slippage: Decimal = ZERO
    slippage_unknown: int = 0
    exchange: Decimal = ZERO
    kernel_estimate: Decimal = ZERO
    inferred: Decimal = ZERO
    basis: Decimal = ZERO


def since(now: Decimal, then: Decimal) -> Decimal:
    """What an exact running sum has moved, rounded once."""
    return DIVISION.plus(EXACT.subtract(now, then))


def session_began(session_id: str, ledger: Ledger) -> Before:
    """The sums as they are at the session's start."""
    known = ledger.provenance
    return Before(
        session_id,
        ledger.realized_pnl,
        ledger.fees_paid,
        ledger.funding,
        ledger.funds.converted,
        ledger.slippage,
        ledger.slippage_unknown,
        known.exchange,
        known.kernel_estimate,
        known.inferred,
        ledger.net_basis,
    )


def session_figures(ledger: Ledger) -> SessionFigures:
    """The session so far."""
    then, known, hanging = ledger.before, ledger.provenance, ledger.provenance.hanging
    earlier = known.hanging_before
    return SessionFigures(
        session_id=then.session_id,
        realized_pnl=ledger.session_realized,
        fees=ledger.session_fees,
        funding=since(ledger.funding, then.funding),
        converted=since(ledger.funds.converted, then.converted),
        slippage_quote=since(ledger.slippage, then.slippage),
        slippage_unknown_fills=ledger.slippage_unknown - then.slippage_unknown,
        realized_exchange=since(known.exchange, then.exchange),
        realized_estimate=since(known.kernel_estimate, then.kernel_estimate),
        realized_inferred=since(known.inferred, then.inferred),
        realized_provisional=since(hanging.realized, earlier.realized),
        fees_provisional=since(hanging.fees, earlier.fees),
        slippage_provisional=since(hanging.slippage, earlier.slippage),
        basis=then.basis,
        net_basis=ledger.net_basis,
        unpriced=tuple(sorted(ledger.funds.unpriced)),
    )
