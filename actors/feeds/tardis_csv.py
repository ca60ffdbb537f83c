"""Tardis' downloadable `quotes` and `trades` CSV, in Tardis' own headers.

`timestamp` is the exchange's clock and `local_timestamp` that of Tardis' collector; files are in
the order of the latter, so that exchange times may step back a little. The `exchange` column is not
looked at: one file is one exchange.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.feeds.csv_rows import Columns
from actors.feeds.decoding import (
    BookSide,
    ClockOffset,
    Decoded,
    Names,
    PositiveNumbers,
    RecentIds,
    Skipped,
    SkipReason,
    SymbolResolver,
    row_identity,
    trade_identity,
)
from actors.feeds.timestamps import timestamp_us
from actors.feeds.trades_csv import taker_side
from fsm.market import MarketTrade, Tick

_TIMES = ("symbol", "timestamp", "local_timestamp")
QUOTE_COLUMNS = (*_TIMES, "bid_price", "bid_amount", "ask_price", "ask_amount")
TRADE_COLUMNS = (*_TIMES, "id", "side", "price", "amount")


class TardisQuotesDecoder:
    """Rows to ticks. An empty side is a missing one."""

    def __init__(self, resolve: SymbolResolver, header: Sequence[str]) -> None:
        """Raises ValueError when the header lacks a column."""
        self._columns = Columns(header, QUOTE_COLUMNS)
        self._names = Names(resolve)
        self._recent = RecentIds()
        self._offset = ClockOffset()
        self._bid = BookSide("bid_price", "bid_amount")
        self._ask = BookSide("ask_price", "ask_amount")

    def decode_line(self, line: bytes) -> Decoded:
        """See `LineDecoder`."""
        symbol, time, local, bid_text, bid_amount, ask_text, ask_amount = self._columns.pick(line)
        event_us, recv_us = timestamp_us(time), timestamp_us(local)
        bid, bid_size = self._bid.read(bid_text, bid_amount)
        ask, ask_size = self._ask.read(ask_text, ask_amount)
        instrument = self._names[symbol]
        if instrument is None:
            return Skipped(SkipReason.UNMATCHED, symbol)
        if not self._recent.add(row_identity(line)):
            return Skipped(SkipReason.DUPLICATE, f"quote of {symbol} at {time}")
        self._offset.observe(event_us, recv_us)
        return Tick(
            instrument=instrument,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            event_us=event_us,
            recv_us=recv_us,
        )

    def clock_offset_us(self) -> int | None:
        """See `LineDecoder`."""
        return self._offset.median_us()


class TardisTradesDecoder:
    """Rows to market trades. A side that Tardis calls unknown is None."""

    def __init__(self, resolve: SymbolResolver, header: Sequence[str]) -> None:
        """Raises ValueError when the header lacks a column."""
        self._columns = Columns(header, TRADE_COLUMNS)
        self._names = Names(resolve)
        self._recent = RecentIds()
        self._offset = ClockOffset()
        self._prices, self._sizes = PositiveNumbers("price"), PositiveNumbers("amount")

    def decode_line(self, line: bytes) -> Decoded:
        """See `LineDecoder`."""
        symbol, time, local, trade_id, side_text, price_text, amount = self._columns.pick(line)
        event_us, recv_us = timestamp_us(time), timestamp_us(local)
        price, qty = self._prices[price_text], self._sizes[amount]
        assert price is not None
        assert qty is not None
        side = None if side_text == "unknown" else taker_side(side_text)
        instrument = self._names[symbol]
        if instrument is None:
            return Skipped(SkipReason.UNMATCHED, symbol)
        if not self._recent.add(trade_identity(instrument, trade_id, line)):
            return Skipped(SkipReason.DUPLICATE, f"trade {trade_id or 'row'} of {symbol} at {time}")
        self._offset.observe(event_us, recv_us)
        return MarketTrade(
            instrument=instrument,
            price=price,
            qty=qty,
            side=side,
            event_us=event_us,
            recv_us=recv_us,
            trade_id=trade_id or None,
        )

    def clock_offset_us(self) -> int | None:
        """See `LineDecoder`."""
        return self._offset.median_us()
