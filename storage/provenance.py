"""How well is each figure known? Realized PnL by where it comes from, and what is provisional.

A figure is `exchange` (the venue stated it, or agreed with ours), `kernel_estimate` (our
arithmetic over true prices) or `inferred` (DESIGN section 6). A provisional fill may still be
voided; what it moved is counted beside the figures, as part of them.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field

from fsm import events as ev
from fsm.money import EXACT, ZERO
from fsm.vocabulary import FillStatus, PnlSource


@define(slots=True)
class Part:
    """What hangs on fills that may still be voided, quote units; `seq` is that of the fill."""

    realized: Decimal = ZERO
    fees: Decimal = ZERO
    slippage: Decimal = ZERO
    seq: int = 0

    def add(self, other: Part) -> None:
        """More hangs."""
        self.realized = EXACT.add(self.realized, other.realized)
        self.fees = EXACT.add(self.fees, other.fees)
        self.slippage = EXACT.add(self.slippage, other.slippage)

    def take(self, other: Part) -> None:
        """Less hangs."""
        self.realized = EXACT.subtract(self.realized, other.realized)
        self.fees = EXACT.subtract(self.fees, other.fees)
        self.slippage = EXACT.subtract(self.slippage, other.slippage)


@define(slots=True)
class Provenance:
    """Realized PnL, gross, quote units, split by source; a function of the events alone."""

    exchange: Decimal = ZERO
    kernel_estimate: Decimal = ZERO
    inferred: Decimal = ZERO
    provisional: dict[str, Part] = field(factory=dict)
    """(order/trade) -> what a fill moved that is not settled; settled or voided, it leaves."""
    hanging: Part = field(factory=Part)
    """The sum of these, and below the part of it that earlier sessions booked."""
    hanging_before: Part = field(factory=Part)
    session_seq: int = 0

    def session_started(self, seq: int) -> None:
        """What hangs from here on is the new session's."""
        self.session_seq, self.hanging_before = seq, Part()
        self.hanging_before.add(self.hanging)

    def _add(self, source: PnlSource, delta: Decimal) -> None:
        if source is PnlSource.EXCHANGE:
            self.exchange = EXACT.add(self.exchange, delta)
        elif source is PnlSource.INFERRED:
            self.inferred = EXACT.add(self.inferred, delta)
        else:
            self.kernel_estimate = EXACT.add(self.kernel_estimate, delta)

    def _hang(self, part: Part, more: Part) -> None:
        part.add(more)
        self.hanging.add(more)
        if part.seq < self.session_seq:
            self.hanging_before.add(more)

    def filled(self, event: ev.OrderFilled, seq: int) -> None:
        """A provisional fill is remembered until it is final."""
        if event.status is FillStatus.PROVISIONAL:
            part = self.provisional[f"{event.client_order_id}/{event.trade_id}"] = Part(seq=seq)
            self._hang(part, Part(slippage=event.slippage_quote or ZERO))

    def final(self, event: ev.OrderFillSettled | ev.OrderFillVoided) -> None:
        """It was settled or voided."""
        if not self.provisional:
            return
        part = self.provisional.pop(f"{event.client_order_id}/{event.trade_id}", None)
        if part is not None:
            self.hanging.take(part)
            if part.seq < self.session_seq:
                self.hanging_before.take(part)

    def changed(self, event: ev.PositionChanged) -> None:
        """A position realized something, or paid for it."""
        if event.realized_delta:
            settled = event.cause == "settlement"
            source = PnlSource.EXCHANGE if settled else event.realized_source
            self._add(source, event.realized_delta)
        if self.provisional:
            part = self.provisional.get(f"{event.client_order_id}/{event.trade_id}")
            if part is not None:
                self._hang(part, Part(event.realized_delta, event.fee_quote))

    def compared(self, event: ev.PnlCompared) -> None:
        """The venue agreed with an estimate: it is the exchange's figure now."""
        if event.agrees:
            self._add(PnlSource.KERNEL_ESTIMATE, -event.estimate)
            self._add(PnlSource.EXCHANGE, event.estimate)
