"""The `trades` format: timestamp, instrument, price, size, side; `trade_id` where the file has it.

With a `trade_id` a repeated id is a duplicate. Without one a row that repeats another entirely
is: two equal trades of one instant cannot be told from one that was written twice, and a volume
counted twice is worse than one counted short. It is reported with its line, as all of them are.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.feeds.csv_rows import Columns
from actors.feeds.decoding import (
    Decoded,
    Names,
    PositiveNumbers,
    RecentIds,
    Skipped,
    SkipReason,
    SymbolResolver,
    trade_identity,
)
from actors.feeds.timestamps import timestamp_us
from fsm.market import MarketTrade
from fsm.vocabulary import Side

COLUMNS = ("timestamp", "instrument", "price", "size", "side")
OPTIONAL_COLUMNS = ("trade_id",)
_SIDES = {"buy": Side.BUY, "b": Side.BUY, "sell": Side.SELL, "s": Side.SELL, "": None}


class TradesDecoder:
    """Rows to market trades. `side` is the taker's: buy, sell, b, s, or empty for not known."""

    def __init__(self, resolve: SymbolResolver, header: Sequence[str]) -> None:
        self._names = Names(resolve)
        self._columns = Columns(header, COLUMNS, OPTIONAL_COLUMNS)
        self._recent = RecentIds()
        self._prices, self._sizes = PositiveNumbers("price"), PositiveNumbers("size")

    def decode_line(self, line: bytes) -> Decoded:
        """See `LineDecoder`."""
        time, symbol, price_text, size_text, side_text, trade_id = self._columns.pick(line)
        event_us = timestamp_us(time)
        price, qty = self._prices[price_text], self._sizes[size_text]
        assert price is not None
        assert qty is not None
        side = taker_side(side_text)
        instrument = self._names[symbol]
        if instrument is None:
            return Skipped(SkipReason.UNMATCHED, symbol)
        if not self._recent.add(trade_identity(instrument, trade_id, line)):
            return Skipped(SkipReason.DUPLICATE, f"trade {trade_id or 'row'} of {symbol} at {time}")
        return MarketTrade(
            instrument=instrument,
            price=price,
            qty=qty,
            side=side,
            event_us=event_us,
            recv_us=event_us,
            trade_id=trade_id or None,
        )

    def clock_offset_us(self) -> int | None:
        """None: the file shows one clock only."""
        return None


def taker_side(text: str) -> Side | None:
    """The taker's side as files write it. Raises ValueError for what is neither."""
    try:
        return _SIDES[text]
    except KeyError:
        pass
    try:
        return _SIDES[text.lower()]
    except KeyError:
        raise ValueError(f"side {text[:40]!r} is neither buy nor sell") from None
