"""The `trades` format: timestamp, instrument, price, size, side; `trade_id` where the file has it.

With a `trade_id` a repeated id is a duplicate. Without one a row that repeats another entirely
is: two equal trades of one instant cannot be told from one that was written twice, and a volume
counted twice is worse than one counted short. It is reported with its line, as all of them are.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from actors.feeds.csv_rows import Columns
from actors.feeds.decoding import (
    Decoded,
    RecentIds,
    Skipped,
    SkipReason,
    SymbolResolver,
    number_from,
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
        self._resolve = resolve
        self._columns = Columns(header, COLUMNS, OPTIONAL_COLUMNS)
        self._recent = RecentIds()

    def decode_line(self, line: bytes) -> Decoded:
        """See `LineDecoder`."""
        time, symbol, price_text, size_text, side_text, trade_id = self._columns.pick(line)
        event_us = timestamp_us(time)
        price = _positive(price_text, "price")
        qty = _positive(size_text, "size")
        try:
            side = _SIDES[side_text.lower()]
        except KeyError:
            raise ValueError(f"side {side_text[:40]!r} is neither buy nor sell") from None
        instrument = self._resolve(symbol)
        if instrument is None:
            return Skipped(SkipReason.UNMATCHED, symbol)
        member: object = (
            (instrument, trade_id) if trade_id else (event_us, instrument, price, qty, side)
        )
        if not self._recent.add(member):
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


def _positive(text: str, name: str) -> Decimal:
    number = number_from(text, name)
    if not number:
        raise ValueError(f"{name} {text[:40]!r} of a trade must be above zero")
    return number
