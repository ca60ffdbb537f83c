"""The `quotes` format: timestamp, instrument, bid, ask, bid_size, ask_size.

The receive time is the event time: the file tells one only. A row that repeats another one
entirely is a duplicate.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.feeds.csv_rows import Columns
from actors.feeds.decoding import (
    BookSide,
    Decoded,
    Names,
    RecentIds,
    Skipped,
    SkipReason,
    SymbolResolver,
    row_identity,
)
from actors.feeds.timestamps import timestamp_us
from fsm.market import Tick

COLUMNS = ("timestamp", "instrument", "bid", "ask", "bid_size", "ask_size")


class QuotesDecoder:
    """Rows to ticks. An empty or zero price, or a zero size, is a missing side."""

    def __init__(self, resolve: SymbolResolver, header: Sequence[str]) -> None:
        self._names = Names(resolve)
        self._columns = Columns(header, COLUMNS)
        self._recent = RecentIds()
        self._bid, self._ask = BookSide("bid", "bid_size"), BookSide("ask", "ask_size")

    def decode_line(self, line: bytes) -> Decoded:
        """See `LineDecoder`."""
        time, symbol, bid_text, ask_text, bid_size_text, ask_size_text = self._columns.pick(line)
        event_us = timestamp_us(time)
        bid, bid_size = self._bid.read(bid_text, bid_size_text)
        ask, ask_size = self._ask.read(ask_text, ask_size_text)
        instrument = self._names[symbol]
        if instrument is None:
            return Skipped(SkipReason.UNMATCHED, symbol)
        if not self._recent.add(row_identity(line)):
            return Skipped(SkipReason.DUPLICATE, f"quote of {symbol} at {time}")
        return Tick(
            instrument=instrument,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            event_us=event_us,
            recv_us=event_us,
        )

    def clock_offset_us(self) -> int | None:
        """None: the file shows one clock only."""
        return None
