"""How well is each figure known? Realized PnL by where it comes from, and what is provisional.

A figure is `exchange` (the venue stated it, or agreed with ours), `kernel_estimate` (our
arithmetic over true prices) or `inferred` (DESIGN section 6). A provisional fill may still be
voided; what it realized is counted beside the figure, as part of it.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field

from fsm import events as ev
from fsm.money import ZERO
from fsm.vocabulary import FillStatus, PnlSource


@define(slots=True)
class Provenance:
    """Realized PnL, gross, quote units, split by source; a function of the events alone."""

    exchange: Decimal = ZERO
    kernel_estimate: Decimal = ZERO
    inferred: Decimal = ZERO
    provisional: dict[str, Decimal] = field(factory=dict)
    """(order/trade) -> what a fill realized that is not settled; settled or voided, it leaves."""

    @property
    def provisional_sum(self) -> Decimal:
        """How much of all realized PnL hangs on fills that may still be voided."""
        return sum(self.provisional.values(), ZERO)

    def _add(self, source: PnlSource, delta: Decimal) -> None:
        if source is PnlSource.EXCHANGE:
            self.exchange += delta
        elif source is PnlSource.INFERRED:
            self.inferred += delta
        else:
            self.kernel_estimate += delta

    def filled(self, event: ev.OrderFilled) -> None:
        """A provisional fill is remembered until it is final."""
        if event.status is FillStatus.PROVISIONAL:
            self.provisional[f"{event.client_order_id}/{event.trade_id}"] = ZERO

    def final(self, event: ev.OrderFillSettled | ev.OrderFillVoided) -> None:
        """It was settled or voided."""
        self.provisional.pop(f"{event.client_order_id}/{event.trade_id}", None)

    def changed(self, event: ev.PositionChanged) -> None:
        """A position realized something."""
        if not event.realized_delta:
            return
        settled = event.cause == "settlement"
        self._add(PnlSource.EXCHANGE if settled else event.realized_source, event.realized_delta)
        name = f"{event.client_order_id}/{event.trade_id}"
        if name in self.provisional:
            self.provisional[name] += event.realized_delta

    def compared(self, event: ev.PnlCompared) -> None:
        """The venue agreed with an estimate: it is the exchange's figure now."""
        if event.agrees:
            self.kernel_estimate -= event.estimate
            self.exchange += event.estimate
