"""An account statement as a CSV file: its header, its rows, and what is wrong with it.

Responsible for text only: which columns there are, and what a field means. What follows from the
rows is `storage.statement`'s business. Streamed, plain or gzip, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from decimal import Decimal, InvalidOperation
from pathlib import Path

from attrs import define, field

from actors.feeds.csv_rows import Columns, header_columns
from actors.feeds.errors import MarketFileError
from actors.feeds.lines import DamagedEndError, Lines, NumberedLines
from actors.feeds.timestamps import timestamp_us
from fsm.money import ZERO
from fsm.vocabulary import Side
from storage.statement import StatementRow

#: Column -> other names of it, all without case, blanks and underscores. `amount` is none of them:
#: some venues write coins there and some quote units.
COLUMNS: dict[str, tuple[str, ...]] = {
    "timestamp": ("time", "date", "datetime"),
    "instrument": ("symbol", "pair", "coin"),
    "side": (),
    "qty": ("quantity", "size", "sz"),
    "price": ("px",),
    "fee": ("fees", "commission"),
    "start_position": (),
    "realized_pnl": ("realised_pnl", "closed_pnl"),
    "trade_id": ("tid",),
}
REQUIRED = ("timestamp", "instrument", "side", "qty", "price", "fee")
SIDES = {
    **dict.fromkeys(("buy", "b", "bid"), Side.BUY),
    **dict.fromkeys(("sell", "s", "ask", "a"), Side.SELL),
}
_POSITION_WORDS = ("long", "short")
_DIGITS_MAX = 28
_EXPONENT_MIN, _EXPONENT_MAX = -40, 20
#: A repeated row is looked for among this many before it, at least; exports repeat rows where two
#: of their pages overlap.
REPEATS_WITHIN = 100_000
_LINES_KEPT = 100


class StatementFileError(Exception):
    """The file is no statement: one line with file, line, column, and what to do."""


class StatementUnreadable(Exception):
    """The file is missing or cannot be read to its end: one line, and what to do."""


@define(slots=True)
class Counted:
    """How many rows, and the lines of the first hundred."""

    total: int = 0
    lines: list[int] = field(factory=list)

    def add(self, line: int) -> None:
        """Count a row."""
        self.total += 1
        if len(self.lines) < _LINES_KEPT:
            self.lines.append(line)


@define
class StatementFile:
    """The rows of one file, read once; the counts are whole when the last row was given.

    A row behind a younger one is `out_of_order`, counted and given where it stands: within one
    instant only the file knows the order. A row that repeats one of the last `REPEATS_WITHIN` in
    every column, its trade id included, is `repeated`, counted and not given (L5).
    """

    path: Path
    out_of_order: Counted = field(factory=Counted)
    repeated: Counted = field(factory=Counted)
    ignored: list[str] = field(factory=list)
    has_realized: bool = False
    has_start: bool = False
    _later: int = 0
    _earlier: int = 0

    def rows(self) -> Iterator[StatementRow]:
        """Every row. Raises StatementFileError and StatementUnreadable."""
        try:
            if self.path.is_file() and self.path.stat().st_size == 0:
                raise self._wrong(1, "is empty: a header and rows are needed")
            with closing(iter(Lines(self.path))) as lines:
                yield from self._read(lines)
        except MarketFileError as problem:
            raise StatementUnreadable(str(problem)) from None
        except DamagedEndError as damage:
            raise StatementUnreadable(f"{self.path}: {damage}") from None
        except OSError as problem:
            raise StatementUnreadable(f"{self.path}: {problem.strerror or problem}") from None

    def _read(self, lines: NumberedLines) -> Iterator[StatementRow]:
        number, header = next(lines, (1, b""))
        columns, names = self._header(number, header or b"")
        recent: set[bytes] = set()
        older: set[bytes] = set()
        identified = "trade_id" in names
        newest_us = last_us = 0
        for number, line in lines:
            if line is None:
                raise self._wrong(number, "is longer than a megabyte: this is no row of a fill")
            if identified:
                if line in recent or line in older:
                    self.repeated.add(number)
                    continue
                recent.add(line)
                if len(recent) >= REPEATS_WITHIN:
                    recent, older = set(), recent
            row = self._row(number, columns, line)
            if row.at_us < newest_us:
                self.out_of_order.add(number)
            else:
                newest_us = row.at_us
            self._later += row.at_us > last_us > 0
            self._earlier += row.at_us < last_us
            last_us = row.at_us
            yield row
        if self.is_newest_first:
            raise StatementFileError(
                f"{self.path}: the newest row comes first: reverse the rows below the header, so "
                "that the oldest comes first, and audit that"
            )

    @property
    def is_newest_first(self) -> bool:
        """True when time only ever went backwards: a fold of such rows means nothing."""
        return self._earlier > 1 and self._later == 0

    # ------------------------------------------------------------------------------ the header

    def _header(self, number: int, line: bytes) -> tuple[Columns, tuple[str, ...]]:
        try:
            given = header_columns(line)
        except ValueError as problem:
            raise self._wrong(number, f"is no header of a CSV file in UTF-8: {problem}") from None
        plain = [name.replace(" ", "").replace("_", "") for name in given]
        found: dict[str, int] = {}
        for column, others in COLUMNS.items():
            at = self._place(number, column, others, plain, given)
            if at is not None:
                found[column] = at
        missing = [column for column in REQUIRED if column not in found]
        if missing:
            more = "; separate columns by commas" if b";" in line or b"\t" in line else ""
            raise self._wrong(
                number, f"has no column {', '.join(missing)}: a statement has {_wanted()}{more}"
            )
        self.ignored = [name for at, name in enumerate(given) if at not in found.values() and name]
        self.has_realized, self.has_start = "realized_pnl" in found, "start_position" in found
        canonical = [f"#{at}" for at in range(len(given))]
        for column, at in found.items():
            canonical[at] = column
        return Columns(canonical, REQUIRED, ("start_position", "realized_pnl")), tuple(found)

    def _place(
        self,
        number: int,
        column: str,
        others: Sequence[str],
        plain: Sequence[str],
        given: Sequence[str],
    ) -> int | None:
        """Where a column is: by its own name, or by its one other name."""
        for names in ((column,), others):
            wanted = {name.replace("_", "") for name in names}
            places = [at for at, name in enumerate(plain) if name in wanted]
            if len(places) > 1:
                double = ", ".join(given[at] for at in places)
                raise self._wrong(number, f"has {column} more than once ({double}): keep one")
            if places:
                return places[0]
        return None

    # -------------------------------------------------------------------------------- the rows

    def _row(self, number: int, columns: Columns, line: bytes) -> StatementRow:
        column = ""
        try:
            time, instrument, side, qty, price, fee, start, realized = columns.pick(line)
            column = "timestamp"
            at_us = timestamp_us(time)
            column = "instrument"
            if not instrument:
                raise ValueError("is empty")
            column = "side"
            bought = SIDES.get(side.lower())
            if bought is None:
                raise ValueError(_no_side(side))
            column = "qty"
            size = _number(qty)
            if size <= 0:
                raise ValueError(f"{qty!r} is not above 0: the side says the direction")
            column = "price"
            paid = _number(price)
            if paid < 0:
                raise ValueError(f"{price!r} is below 0")
            column = "fee"
            cost = _number(fee)
            column = "start_position"
            before = _number(start) if start else None
            column = "realized_pnl"
            stated = _number(realized) if realized else None
        except ValueError as problem:
            where = f"column {column}: " if column else ""
            advice = "correct it, or export the statement again"
            raise self._wrong(number, f"{where}{problem}; {advice}", colon=True) from None
        return StatementRow(
            line=number,
            at_us=at_us,
            instrument=instrument,
            side=bought,
            qty=size,
            price=paid,
            fee=cost,
            start_position=before,
            realized_pnl=stated,
        )

    def _wrong(self, line: int, problem: str, *, colon: bool = False) -> StatementFileError:
        return StatementFileError(f"{self.path}: line {line}{':' if colon else ''} {problem}")


def _wanted() -> str:
    return f"{', '.join(REQUIRED)}, and where the venue has them start_position, realized_pnl"


def _no_side(text: str) -> str:
    if text.lower() in _POSITION_WORDS:
        return f"{text!r} names a position, not what was done: write buy or sell"
    return f"{text[:40]!r} is none of {', '.join(SIDES)}"


def _number(text: str) -> Decimal:
    """A finite decimal of at most 28 digits. Raises ValueError that names the text."""
    try:
        if not text.isascii() or "_" in text:
            raise InvalidOperation
        number = Decimal(text)
    except InvalidOperation:
        more = " (no thousands separators, a point before decimals)" if "," in text else ""
        raise ValueError(f"{text[:40]!r} is not a number{more}" if text else "is empty") from None
    if not number.is_finite():
        raise ValueError(f"{text[:40]!r} is not a finite number")
    if not number:
        return ZERO
    digits = len(number.as_tuple().digits)
    if digits > _DIGITS_MAX or not _EXPONENT_MIN <= number.adjusted() <= _EXPONENT_MAX:
        raise ValueError(f"{text[:40]!r} has more digits than money has")
    return number
