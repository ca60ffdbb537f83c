"""What every decoder of market data shares: its results, its check of numbers, its memories.

Files and live streams use the same decoders; where the bytes come from is not their business.
Everything that is remembered here is bounded (L9).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from hashlib import blake2b
from typing import Protocol

from attrs import frozen

from fsm.market import MarketData

#: Resolves a source's symbol to an instrument's name; None: nobody answers to it.
SymbolResolver = Callable[[str], str | None]

#: Prices and sizes lie below it; Infinity, NaN and a slipped exponent do not.
NUMBER_MAX = Decimal("1e18")
#: How many ids of a stream are remembered at least; repeats come soon after a reconnect.
RECENT_IDS_MIN = 10_000
#: So many different numbers and symbols are remembered; a market writes few, over and over.
NUMBERS_MAX = 65_536
SYMBOLS_MAX = 200_000
#: Longer ones are damage, and remembering them would take memory without limit.
NUMBER_TEXT_MAX, SYMBOL_TEXT_MAX, ROW_TEXT_MAX = 64, 200, 512
_OFFSETS_MAX = 1_001


class SkipReason(StrEnum):
    """Why a readable row brings no market data."""

    OTHER = "other"
    DUPLICATE = "duplicate"
    UNMATCHED = "unmatched"
    #: Not readable at all; `what` says why.
    UNREADABLE = "unreadable"
    #: A remark, not a row: the row of this number lies behind an earlier one of its stream. The
    #: row itself comes too, in its place.
    DISORDER = "disorder"


@frozen(slots=True)
class Skipped:
    """A readable row without market data for us; `what` is its kind, id or symbol."""

    reason: SkipReason
    what: str


Decoded = MarketData | Skipped


class LineDecoder(Protocol):
    """Turns one line of a file into market data. Raises ValueError saying what is unreadable."""

    def decode_line(self, line: bytes) -> Decoded:
        """`line` carries no line end. ValueError when it is unreadable."""
        ...

    def clock_offset_us(self) -> int | None:
        """The source's clock minus the local one, None where the format shows only one."""
        ...


class RecentIds:
    """A set that forgets: the last `RECENT_IDS_MIN` to twice as many members, in two generations.

    Two sets instead of a queue: adding costs one set operation, and forgetting none.
    """

    __slots__ = ("_capacity", "_new", "_old")

    def __init__(self, capacity: int = RECENT_IDS_MIN) -> None:
        self._capacity = capacity
        self._new: set[object] = set()
        self._old: set[object] = set()

    def add(self, member: object) -> bool:
        """False when `member` is remembered already: a repeat."""
        if member in self._new or member in self._old:
            return False
        if len(self._new) >= self._capacity:
            self._old, self._new = self._new, set()
        self._new.add(member)
        return True


class Numbers(dict[object, "Decimal | None"]):
    """Texts, floats, integers or Decimals of one column to Decimals; None for nothing and empty.

    Prices and sizes repeat, so each is converted and judged once and looked up from then on. A
    float is taken by its first 15 digits, which is what a double holds for sure: 0.1, never
    0.1000000000000000055, and 0.031035 where somebody's sum left 0.031035000000000004. Raises
    ValueError with the column's name for what is no number from 0 to `NUMBER_MAX`. Full, it
    forgets everything and learns anew.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, written: object) -> Decimal | None:
        text = f"{written:.15g}" if isinstance(written, float) else str(written)
        number = None if written is None else number_from(text.strip(), self._name)
        if len(self) >= NUMBERS_MAX:
            self.clear()
        self[written] = number
        return number


class PositiveNumbers(Numbers):
    """The same for columns that need a number above zero, as the price and size of a trade."""

    def __missing__(self, written: object) -> Decimal | None:
        number = super().__missing__(written)
        if not number:
            del self[written]
            shown = "" if written is None else str(written)[:40]
            raise ValueError(f"{self._name} {shown!r} must be above zero")
        return number


class Names(dict[str, "str | None"]):
    """What symbols resolve to, asked once each. Raises ValueError for one that is far too long,
    and what the resolver raises."""

    def __init__(self, resolve: SymbolResolver) -> None:
        super().__init__()
        self._resolve = resolve

    def __missing__(self, symbol: str) -> str | None:
        if len(symbol) > SYMBOL_TEXT_MAX:
            raise ValueError(
                f"symbol {symbol[:40]!r}... has more than {SYMBOL_TEXT_MAX} characters"
            )
        name = self._resolve(symbol)
        if len(self) < SYMBOLS_MAX:  # more symbols than exist: do not remember damage
            self[symbol] = name
        return name


class ClockOffset:
    """The source's clock minus the local one: the median of the last rows that show both."""

    def __init__(self) -> None:
        self._offsets: deque[int] = deque(maxlen=_OFFSETS_MAX)

    def observe(self, event_us: int, recv_us: int) -> None:
        """One row's two times."""
        self._offsets.append(event_us - recv_us)

    def median_us(self) -> int | None:
        """None before the first row."""
        offsets = sorted(self._offsets)
        return offsets[len(offsets) // 2] if offsets else None


def trade_identity(instrument: str, trade_id: str, line: bytes) -> object:
    """What a trade is known by: its id, or its whole row where it has none that is usable."""
    if 0 < len(trade_id) <= SYMBOL_TEXT_MAX:
        return instrument, trade_id
    return row_identity(line)


def row_identity(line: bytes) -> bytes:
    """What a row without an id is known by: its text, or a digest where that is long."""
    return line if len(line) <= ROW_TEXT_MAX else blake2b(line, digest_size=16).digest()


def number_from(text: str, name: str) -> Decimal | None:
    """A Decimal from zero up to `NUMBER_MAX`; None for an empty text.

    Raises ValueError with the name and the text when it is anything else.
    """
    if not text:
        return None
    try:
        number = Decimal(text) if len(text) <= NUMBER_TEXT_MAX else Decimal("NaN")
        if 0 <= number < NUMBER_MAX:
            return number
    except InvalidOperation:
        pass
    raise ValueError(f"{name} {text[:40]!r} is not a number from 0 to 1e18")


def book_side(price: Decimal | None, size: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """One side of a quote: (None, None) where price or size is zero or the price is not given.

    A size that is not given is unknown, which is no reason to hide the price.
    """
    if not price or (size is not None and not size):
        return None, None
    return price, size


class BookSide:
    """The price and size columns of one side of a quote, as a file names them."""

    __slots__ = ("_prices", "_sizes")

    def __init__(self, price: str, size: str) -> None:
        self._prices, self._sizes = Numbers(price), Numbers(size)

    def read(self, price: str, size: str) -> tuple[Decimal | None, Decimal | None]:
        """See `book_side`. Raises ValueError with the column's name."""
        return book_side(self._prices[price], self._sizes[size])
