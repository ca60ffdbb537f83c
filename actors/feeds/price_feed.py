"""The price feed that prediction windows settle on: `feed_ts_ms, full_accuracy_value, recv_ms`.

An oracle tells one price a second, without sizes and without a spread: a row becomes a tick whose
bid and ask are that price and whose sizes are unknown. `full_accuracy_value` is the price times
1e18. Two rows of one second: the one received later is the price of that second, the other one is
counted as `superseded`. The rows name no symbol (`file_symbols.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from actors.feeds.csv_rows import Columns
from actors.feeds.decoding import (
    ClockOffset,
    Decoded,
    Skipped,
    SkipReason,
    SymbolResolver,
    number_from,
)
from actors.feeds.row_sources import LineSource, Rows
from actors.feeds.timestamps import timestamp_us
from fsm.market import Tick

COLUMNS = ("feed_ts_ms", "full_accuracy_value", "recv_ms")
OPTIONAL_COLUMNS = ("value",)
#: `full_accuracy_value` is a whole number of 1e-18; prices stay below 1e12, so 30 digits do.
SCALE = -18
_DIGITS_MAX = 30
_SECOND_US = 1_000_000
#: `value` is a float of the same price: further apart than this, one of both is damaged.
_RELATIVE_MAX = Decimal("1e-9")


def scaled_price(text: str, name: str) -> Decimal:
    """The price that a whole number of 1e-18 means. Raises ValueError when it is none above 0."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX and int(text)):
        raise ValueError(f"{name} {text[:40]!r} is not a whole number of 1e-18 above zero")
    # Built from its digits, so that no context rounds it.
    return Decimal(f"{text}e{SCALE}")


class PriceFeedDecoder:
    """Rows to ticks of one symbol."""

    def __init__(self, symbol: str, resolve: SymbolResolver, header: Sequence[str]) -> None:
        """Raises ValueError when the header lacks a column."""
        self._columns = Columns(header, COLUMNS, OPTIONAL_COLUMNS)
        self._symbol = symbol
        self._instrument = resolve(symbol)
        self._offset = ClockOffset()

    def decode_line(self, line: bytes) -> Decoded:
        """See `LineDecoder`."""
        time, scaled, recv, value_text = self._columns.pick(line)
        event_us, recv_us = timestamp_us(time), timestamp_us(recv)
        price = scaled_price(scaled, "full_accuracy_value")
        value = number_from(value_text, "value")
        if value is not None and abs(value - price) > price * _RELATIVE_MAX:
            raise ValueError(f"value {value_text[:40]} and full_accuracy_value {price} disagree")
        if self._instrument is None:
            return Skipped(SkipReason.UNMATCHED, self._symbol)
        self._offset.observe(event_us, recv_us)
        return Tick(
            instrument=self._instrument,
            bid=price,
            ask=price,
            bid_size=None,
            ask_size=None,
            event_us=event_us,
            recv_us=recv_us,
        )

    def clock_offset_us(self) -> int | None:
        """See `LineDecoder`."""
        return self._offset.median_us()


class PriceFeedSource(LineSource):
    """The same with one row a second: the one that was received last."""

    def rows(self) -> Rows:
        """See `RowSource`. A row waits for the next one, which may replace it."""
        held: tuple[int, Tick] | None = None
        for number, item in super().rows():
            if not isinstance(item, Tick):
                yield number, item
                continue
            if held is None:
                held = number, item
                continue
            rival = held[1]
            if item.event_us // _SECOND_US != rival.event_us // _SECOND_US:
                yield held
                held = number, item
                continue
            loser = number
            if item.recv_us >= rival.recv_us:
                loser, held = held[0], (number, item)
            yield loser, Skipped(SkipReason.OTHER, "superseded")
        if held is not None:
            yield held
