"""What the open positions have in the market: notional, margin, and what they cost by instrument.

Part of the ledger's fold. Every figure is a running total: each event moves it by the exact
difference that it makes, so that a read costs the same with one position and with a thousand.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field, frozen

from fsm import events as ev
from fsm.instrument import Instrument
from fsm.money import DIVISION, EXACT, ONE, ZERO, divide
from fsm.position import ENDED

#: Where the quantity is in a list of sums; its cost follows it.
_LONG, _SHORT = 0, 2


@define(slots=True)
class Exposure:
    """One open position: signed quantity at its basis; notional and margin in quote units."""

    instrument: str
    qty: Decimal
    cost: Decimal
    margin: Decimal


@frozen(slots=True)
class OpenQty:
    """All open positions of an instrument: quantities and what they cost, longs and shorts apart.

    Positions without a basis are not in it: a mark never becomes one. Shorts are negative.
    """

    long_qty: Decimal = ZERO
    long_cost: Decimal = ZERO
    short_qty: Decimal = ZERO
    short_cost: Decimal = ZERO

    def unrealized(self, bid: Decimal | None, ask: Decimal | None) -> Decimal:
        """Open profit, quote units: longs at the bid, shorts at the ask; 0 without a mark."""
        total = ZERO
        for qty, cost, mark in (
            (self.long_qty, self.long_cost, bid),
            (self.short_qty, self.short_cost, ask),
        ):
            if qty and mark is not None:
                total = EXACT.add(total, EXACT.subtract(EXACT.multiply(qty, mark), cost))
        return DIVISION.plus(total)


@define(slots=True)
class Exposures:
    """All open positions; a function of the events alone."""

    of: dict[str, Exposure] = field(factory=dict)
    leverages: dict[str, Decimal] = field(factory=dict)
    sums: dict[str, list[Decimal]] = field(factory=dict)
    """By instrument, in the order of `OpenQty`; one with nothing open is not in it."""
    margin: Decimal = ZERO
    notional: Decimal = ZERO

    def opened(self, event: ev.PositionOpened) -> None:
        """A position begins: its leverage, which touches margin only."""
        self.leverages[event.position_id] = event.leverage

    def changed(self, event: ev.PositionChanged, instrument: Instrument | None) -> None:
        """Its quantity or basis changed."""
        if event.state in ENDED:
            self.forget(event.position_id)
            return
        self._off(event.position_id)
        if event.qty == 0 or event.basis_price is None:
            return
        cost = EXACT.multiply(event.qty, event.basis_price)
        notional = cost.copy_abs()
        # A position that was over and is open again has lost its leverage: 1 asks for the most.
        leverage = self.leverages.get(event.position_id, ONE)
        is_margined = instrument is not None and instrument.is_margined
        margin = divide(notional, leverage) if is_margined else ZERO
        self.of[event.position_id] = Exposure(event.instrument, event.qty, cost, margin)
        sums = self.sums.get(event.instrument)
        if sums is None:
            sums = self.sums[event.instrument] = [ZERO, ZERO, ZERO, ZERO]
        at = _LONG if event.qty > 0 else _SHORT
        sums[at] = EXACT.add(sums[at], event.qty)
        sums[at + 1] = EXACT.add(sums[at + 1], cost)
        self.notional = EXACT.add(self.notional, notional)
        self.margin = EXACT.add(self.margin, margin)

    def _off(self, position_id: str) -> None:
        one = self.of.pop(position_id, None)
        if one is None:
            return
        self.notional = EXACT.subtract(self.notional, one.cost.copy_abs())
        self.margin = EXACT.subtract(self.margin, one.margin)
        sums, at = self.sums[one.instrument], _LONG if one.qty > 0 else _SHORT
        sums[at] = EXACT.subtract(sums[at], one.qty)
        sums[at + 1] = EXACT.subtract(sums[at + 1], one.cost)
        if not sums[_LONG] and not sums[_SHORT]:
            del self.sums[one.instrument]

    def open(self) -> dict[str, OpenQty]:
        """What is open, by instrument."""
        return {name: OpenQty(*sums) for name, sums in self.sums.items()}

    def forget(self, position_id: str) -> None:
        """It is over."""
        self._off(position_id)
        self.leverages.pop(position_id, None)

    def recomputed(self) -> dict[str, Decimal]:
        """The running totals summed anew from the positions."""
        sums = {"margin": ZERO, "notional": ZERO}
        for one in self.of.values():
            sums["margin"] = EXACT.add(sums["margin"], one.margin)
            sums["notional"] = EXACT.add(sums["notional"], one.cost.copy_abs())
            side = "long" if one.qty > 0 else "short"
            for what, amount in (("qty", one.qty), ("cost", one.cost)):
                key = f"open {one.instrument} {side} {what}"
                sums[key] = EXACT.add(sums.get(key, ZERO), amount)
        return sums

    def running(self) -> dict[str, Decimal]:
        """The running totals as they are kept, named as in `recomputed`."""
        sums = {"margin": self.margin, "notional": self.notional}
        for name, held in self.open().items():
            sums |= {
                f"open {name} long qty": held.long_qty,
                f"open {name} long cost": held.long_cost,
                f"open {name} short qty": held.short_qty,
                f"open {name} short cost": held.short_cost,
            }
        return sums
