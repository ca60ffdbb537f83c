"""An account statement folded with the ledger's arithmetic: rows in, figures and doubts out.

Pure: no file, no clock. Reading a file into rows is `actors.statement_file`'s business.

Rows are folded in the order in which they come, by `fsm.pnl`: average cost, a fill through zero
closes and reopens, realized gross of fees. Where a row's `start_position` does not follow from the
rows before, something is missing: that is a gap, and folding goes on from the stated position with
an unknown basis. What closes at an unknown basis cannot be checked; it is counted as unchecked and
is never called a mismatch. The basis is known again once the position was flat or has flipped.

Memory is bounded (L9): figures for each instrument, and lists that stop growing at `LISTED_MAX`
while their totals go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from attrs import define, field, frozen

from fsm.money import ZERO
from fsm.pnl import Holding, apply_fill
from fsm.vocabulary import Side

#: What is kept of each list of findings; the totals count all of them.
LISTED_MAX = 10_000
#: More instruments than this are no statement of one account.
INSTRUMENTS_MAX = 200_000
#: A stated position that was summed in binary floats differs by this share of the largest position
#: at most; that is no missing row.
_FLOAT_NOISE = Decimal("1e-12")


@frozen(slots=True, kw_only=True)
class StatementRow:
    """One fill as the venue states it. `fee` is a cost where it is positive, quote units.

    `start_position` is the signed position before this fill, `realized_pnl` the venue's figure of
    what it realized; None where the statement does not say.
    """

    line: int
    at_us: int
    instrument: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    start_position: Decimal | None = None
    realized_pnl: Decimal | None = None


@frozen(slots=True)
class Difference:
    """What the rows before or the arithmetic demand (`expected`), and what the row states."""

    line: int
    instrument: str
    expected: Decimal
    actual: Decimal


@define(slots=True)
class InstrumentFigures:
    """One instrument's fold; `unchecked` counts closings at an unknown basis.

    `realized_pnl` is gross and does not hold what those closings realized.
    """

    holding: Holding = field(factory=Holding)
    fills: int = 0
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    unchecked: int = 0
    largest: Decimal = ZERO


@define(slots=True)
class Listed:
    """Findings: all counted, the first `LISTED_MAX` kept."""

    total: int = 0
    kept: list[Difference] = field(factory=list)

    def add(self, finding: Difference) -> None:
        """Count it, and keep it while there is room."""
        self.total += 1
        if len(self.kept) < LISTED_MAX:
            self.kept.append(finding)

    def __iter__(self) -> Iterator[Difference]:
        return iter(self.kept)


class TooManyInstruments(ValueError):
    """The rows name more instruments than any account has."""


@define(slots=True)
class StatementAudit:
    """The fold of a statement; `add` each row, then read.

    `tolerance` is in quote units and applies to each row's realized PnL; `net` compares with
    realized PnL less the row's fee, as some venues state it.
    """

    tolerance: Decimal
    net: bool = False
    instruments: dict[str, InstrumentFigures] = field(factory=dict)
    rows: int = 0
    compared: int = 0
    unchecked: int = 0
    gaps: Listed = field(factory=Listed)
    mismatches: Listed = field(factory=Listed)
    positive_fees: int = 0
    negative_fees: int = 0
    _off_the_other_way: int = 0

    def add(self, row: StatementRow) -> None:
        """Fold one row in. Raises TooManyInstruments; the row is then not folded."""
        figures = self.instruments.get(row.instrument)
        if figures is None:
            if len(self.instruments) >= INSTRUMENTS_MAX:
                raise TooManyInstruments(f"more than {INSTRUMENTS_MAX:,} instruments")
            figures = self.instruments[row.instrument] = InstrumentFigures()
        self.rows += 1
        self._follow(row, figures)
        before = figures.holding
        step = apply_fill(before, row.side.sign * row.qty, row.price)
        figures.holding = step.holding
        figures.fills += 1
        figures.fees += row.fee
        figures.realized_pnl += step.realized
        figures.largest = max(figures.largest, abs(step.holding.qty))
        self.positive_fees += row.fee > 0
        self.negative_fees += row.fee < 0
        if step.price_missing:  # every row has a price: it is the basis that is not known
            figures.unchecked += 1
            self.unchecked += 1
        elif row.realized_pnl is not None:
            self._compare(row, step.realized, before)

    def _follow(self, row: StatementRow, figures: InstrumentFigures) -> None:
        stated, held = row.start_position, figures.holding.qty
        if stated is None or stated == held:
            return
        if abs(stated - held) <= _FLOAT_NOISE * figures.largest:
            return
        self.gaps.add(Difference(row.line, row.instrument, held, stated))
        figures.holding = Holding(stated, None)
        figures.largest = max(figures.largest, abs(stated))

    def _compare(self, row: StatementRow, realized: Decimal, before: Holding) -> None:
        stated = row.realized_pnl
        assert stated is not None
        self.compared += 1
        closes = before.qty != 0 and (before.qty > 0) != (row.side.sign > 0)
        less_fee = realized - row.fee
        off_gross = abs(stated - realized) > self.tolerance
        # A venue that nets its figures may still state nothing for a fill that closes nothing.
        off_net = abs(stated - less_fee) > self.tolerance and (closes or off_gross)
        if off_net if self.net else off_gross:
            expected = less_fee if self.net else realized
            self.mismatches.add(Difference(row.line, row.instrument, expected, stated))
        self._off_the_other_way += off_gross if self.net else off_net

    @property
    def fees_explain_it(self) -> bool:
        """True when there are mismatches and none of them stays the other way: fees subtracted,
        or with `net` not subtracted."""
        return self.mismatches.total > 0 and self._off_the_other_way == 0
