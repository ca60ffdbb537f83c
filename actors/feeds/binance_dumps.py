"""Binance's public dumps: `aggTrades`, `trades` and `bookTicker`, with a header or without.

Older files have no header; then the columns are told by their number and kinds. Times are
milliseconds, of spot files since 2025 microseconds: told by size. The rows name no symbol
(`file_symbols.py`). Column orders are those of Binance's own description of the dumps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from actors.feeds.csv_rows import Columns
from actors.feeds.decoding import (
    BookSide,
    Decoded,
    Numbers,
    RecentIds,
    Skipped,
    SkipReason,
    SymbolResolver,
)
from actors.feeds.timestamps import timestamp_us
from fsm.market import MarketTrade, Tick
from fsm.vocabulary import Side

AGG_TRADE_COLUMNS = ("agg_trade_id", "price", "quantity", "transact_time", "is_buyer_maker")
TRADE_COLUMNS = ("id", "price", "qty", "time", "is_buyer_maker")
BOOK_COLUMNS = (
    "update_id",
    "best_bid_price",
    "best_bid_qty",
    "best_ask_price",
    "best_ask_qty",
    "transaction_time",
)
#: What the files without a header hold; the last column is in spot files only.
_AGG_TRADE_ORDER = [
    "agg_trade_id",
    "price",
    "quantity",
    "first_trade_id",
    "last_trade_id",
    "transact_time",
    "is_buyer_maker",
    "is_best_match",
]
_TRADE_ORDER = ["id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"]
_BOOK_ORDER = (*BOOK_COLUMNS, "event_time")

_NUMBER, _TIME, _FLAG = r"[\d.]+", r"\d{13}(?:\d{3})?", r"(?:true|false)"
_HEADERLESS = (
    ("aggTrades", re.compile(rf"-?\d+,{_NUMBER},{_NUMBER},-?\d+,-?\d+,{_TIME}(?:,{_FLAG}){{1,2}}")),
    ("trades", re.compile(rf"\d+,{_NUMBER},{_NUMBER},{_NUMBER},{_TIME}(?:,{_FLAG}){{1,2}}")),
    ("bookTicker", re.compile(rf"\d+(?:,{_NUMBER}){{4}},{_TIME},{_TIME}")),
)
_ORDERS = {"aggTrades": _AGG_TRADE_ORDER, "trades": _TRADE_ORDER, "bookTicker": list(_BOOK_ORDER)}
_ID = re.compile(r"-?\d{1,20}")
_FLAGS = {"true": True, "false": False}


def headerless_kind(first: bytes) -> str | None:
    """`aggTrades`, `trades` or `bookTicker` if this first line is a row of such a dump."""
    text = first.decode("utf-8", "replace").lower()
    return next((kind for kind, pattern in _HEADERLESS if pattern.fullmatch(text)), None)


def headerless_columns(kind: str, first: bytes) -> list[str]:
    """The names of the columns that a file without a header has."""
    return _ORDERS[kind][: first.count(b",") + 1]


class BinanceTradesDecoder:
    """Rows of `trades` or `aggTrades` to market trades."""

    def __init__(self, symbol: str, resolve: SymbolResolver, header: Sequence[str]) -> None:
        """Raises ValueError when the header lacks a column."""
        wanted = AGG_TRADE_COLUMNS if "agg_trade_id" in header else TRADE_COLUMNS
        self._columns = Columns(header, wanted)
        self._symbol = symbol
        self._instrument = resolve(symbol)
        self._recent = RecentIds()
        self._prices, self._sizes = Numbers("price"), Numbers("quantity")

    def decode_line(self, line: bytes) -> Decoded:
        """See `LineDecoder`."""
        trade_id, price_text, qty_text, time, maker_text = self._columns.pick(line)
        event_us = timestamp_us(time)
        price, qty = self._prices[price_text], self._sizes[qty_text]
        if price is None or qty is None:
            raise ValueError("a trade without its price or quantity")
        maker = _FLAGS.get(maker_text.lower())
        if maker is None:
            raise ValueError(f"is_buyer_maker {maker_text[:40]!r} is neither true nor false")
        if not _ID.fullmatch(trade_id):
            raise ValueError(f"trade id {trade_id[:40]!r} is not a number")
        if self._instrument is None:
            return Skipped(SkipReason.UNMATCHED, self._symbol)
        if not price or not qty:
            # USD-M marks transfers of the insurance fund this way: not a trade on the market.
            return Skipped(SkipReason.OTHER, "zeroTrade")
        if not self._recent.add(trade_id):
            return Skipped(SkipReason.DUPLICATE, f"trade {trade_id}")
        return MarketTrade(
            instrument=self._instrument,
            price=price,
            qty=qty,
            # The buyer was the maker, so the taker sold.
            side=Side.SELL if maker else Side.BUY,
            event_us=event_us,
            recv_us=event_us,
            trade_id=trade_id,
        )

    def clock_offset_us(self) -> int | None:
        """None: the dumps show the exchange's clock only."""
        return None


class BinanceBookDecoder:
    """Rows of `bookTicker` to ticks."""

    def __init__(self, symbol: str, resolve: SymbolResolver, header: Sequence[str]) -> None:
        """Raises ValueError when the header lacks a column."""
        self._columns = Columns(header, BOOK_COLUMNS)
        self._symbol = symbol
        self._instrument = resolve(symbol)
        self._recent = RecentIds()
        self._bid = BookSide("bid price", "bid quantity")
        self._ask = BookSide("ask price", "ask quantity")

    def decode_line(self, line: bytes) -> Decoded:
        """See `LineDecoder`."""
        update_id, bid_text, bid_size_text, ask_text, ask_size_text, time = self._columns.pick(line)
        event_us = timestamp_us(time)
        bid, bid_size = self._bid.read(bid_text, bid_size_text)
        ask, ask_size = self._ask.read(ask_text, ask_size_text)
        if not _ID.fullmatch(update_id):
            raise ValueError(f"update id {update_id[:40]!r} is not a number")
        if self._instrument is None:
            return Skipped(SkipReason.UNMATCHED, self._symbol)
        if not self._recent.add(update_id):
            return Skipped(SkipReason.DUPLICATE, f"book update {update_id}")
        return Tick(
            instrument=self._instrument,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            event_us=event_us,
            recv_us=event_us,
        )

    def clock_offset_us(self) -> int | None:
        """None: the dumps show the exchange's clock only."""
        return None
