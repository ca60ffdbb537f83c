"""What every decoder of market data shares: its results, its check of numbers, its memory of ids.

Files and live streams use the same decoders; where the bytes come from is not their business.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Protocol

from attrs import frozen

from fsm.market import MarketData

#: Resolves a source's symbol to an instrument's name; None: nobody answers to it.
SymbolResolver = Callable[[str], str | None]

#: Prices and sizes lie below it; Infinity, NaN and a slipped exponent do not.
NUMBER_MAX = Decimal("1e18")
#: How many ids of a stream are remembered at least; repeats come soon after a reconnect.
RECENT_IDS_MIN = 10_000


class SkipReason(StrEnum):
    """Why a readable row brings no market data."""

    OTHER = "other"
    DUPLICATE = "duplicate"
    UNMATCHED = "unmatched"


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


def number_from(text: str, name: str) -> Decimal | None:
    """A Decimal from zero up to `NUMBER_MAX`; None for an empty text.

    Raises ValueError with the name and the text when it is anything else.
    """
    if not text:
        return None
    try:
        number = Decimal(text)
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
