"""Which column of a parquet file means what, and whether its type can.

A file holds quotes (`bid`, `ask`, sizes where it has them) or trades (`price`, `quantity`), a
`timestamp` and a symbol; the other spellings that the field uses are known. What cannot be used is
refused before a row is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from attrs import frozen

from actors.feeds.errors import MarketFileError
from actors.feeds.timestamps import EVENT_US_MAX

#: What the library raises over a damaged file. It panics over some, after words of its own on
#: standard error; that is no `Exception`, and still nothing but a damaged file.
PARQUET_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)

_TIMESTAMP = ("timestamp", "ts", "time", "event_time")
_LOCAL = ("local_timestamp", "recv_timestamp")
_SYMBOL = ("symbol", "instrument", "slug", "ticker", "market")
_QUOTE = {
    "bid": ("bid", "bid_price", "best_bid_price"),
    "ask": ("ask", "ask_price", "best_ask_price"),
    "bid_size": ("bid_size", "bid_amount", "bid_qty", "best_bid_qty"),
    "ask_size": ("ask_size", "ask_amount", "ask_qty", "best_ask_qty"),
}
_TRADE = {
    "price": ("price",),
    "quantity": ("quantity", "size", "qty", "amount"),
    "side": ("side",),
    "buyer_maker": ("buyer_maker", "is_buyer_maker"),
    "trade_id": ("trade_id", "id"),
}
_NUMBERS = ("bid", "ask", "bid_size", "ask_size", "price", "quantity")
_WRITTEN = "it must have timestamp, symbol and either bid, ask or price, quantity"


@frozen(slots=True, kw_only=True)
class ParquetColumns:
    """Our names for the file's columns; a name that the file has no column for is missing."""

    names: Mapping[str, str]
    types: Mapping[str, pl.DataType]

    @property
    def has_quotes(self) -> bool:
        """True for quotes, False for trades."""
        return "bid" in self.names

    def select(self) -> list[pl.Expr]:
        """Every used column under our name, in a type that Python reads without loss."""
        return [_readable(name, column, self.types[name]) for name, column in self.names.items()]

    def time(self) -> pl.Expr:
        """The event time as UTC microseconds; null where it is none."""
        return _readable("timestamp", self.names["timestamp"], self.types["timestamp"])


def parquet_columns(path: Path) -> ParquetColumns:
    """Look at the file's schema. Raises MarketFileError in one line when it cannot be used."""
    try:
        schema = pl.read_parquet_schema(path)
    except PARQUET_ERRORS as error:
        raise damaged(path, error) from None
    known = {column.strip().lower(): column for column in schema}
    names: dict[str, str] = {}
    wanted = {"timestamp": _TIMESTAMP, "symbol": _SYMBOL, "local": _LOCAL}
    is_quotes = any(spelling in known for spelling in (*_QUOTE["bid"], *_QUOTE["ask"]))
    for name, spellings in {**wanted, **(_QUOTE if is_quotes else _TRADE)}.items():
        found = next((spelling for spelling in spellings if spelling in known), None)
        if found is not None:
            names[name] = known[found]
    needed = ("timestamp", *(("bid", "ask") if is_quotes else ("price", "quantity")))
    missing = [name for name in needed if name not in names]
    if missing:
        raise MarketFileError(
            f"{path}: the parquet file has no column {', '.join(missing)} (it has "
            f"{', '.join(list(schema)[:12])}): {_WRITTEN}"
        )
    types = {name: schema[column] for name, column in names.items()}
    for name, kind in types.items():
        if not _fits(name, kind):
            raise MarketFileError(
                f"{path}: the column {names[name]} is of type {kind}, which is no "
                f"{_meaning(name)}: {_WRITTEN}"
            )
    return ParquetColumns(names=names, types=types)


def damaged(path: Path, error: BaseException) -> MarketFileError:
    """What to tell about a parquet file that the library does not open."""
    why = " ".join(str(error).split())[:160]
    return MarketFileError(
        f"{path}: the parquet file is cut off or damaged ({why}): fetch it again"
    )


def _meaning(name: str) -> str:
    if name in ("timestamp", "local"):
        return "time"
    return "number" if name in _NUMBERS else "text or number"


def _fits(name: str, kind: pl.DataType) -> bool:
    text = isinstance(kind, pl.String | pl.Categorical | pl.Enum)
    if name in ("timestamp", "local"):
        return text or kind.is_integer() or kind.is_float() or isinstance(kind, pl.Datetime)
    if name in _NUMBERS:
        return text or kind.is_numeric()
    return text or kind.is_numeric() or isinstance(kind, pl.Boolean)


def _readable(name: str, column: str, kind: pl.DataType) -> pl.Expr:
    value = pl.col(column)
    if name in ("timestamp", "local"):
        time = _time(value, kind)
        # What no market can have seen is no time: it would make every other row look late.
        return pl.when(time.is_between(1, EVENT_US_MAX - 1)).then(time).alias(name)
    if name in _NUMBERS and isinstance(kind, pl.Float64 | pl.String):
        return value.alias(name)
    # A 32-bit float widened would show digits that nobody wrote; as text it is the shortest.
    return value.cast(pl.String).alias(name)


def _time(value: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """UTC microseconds out of whatever the column holds."""
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is not None:
            value = value.dt.convert_time_zone("UTC")
        return value.dt.epoch("us")
    if kind.is_integer():
        return _epoch_us(value.cast(pl.Int64, strict=False))
    if kind.is_float():
        return _epoch_us_of_float(value.cast(pl.Float64))
    return _epoch_us_of_text(value.cast(pl.String))


def _epoch_us(number: pl.Expr) -> pl.Expr:
    """Seconds, ms, us or ns, told by size as in `timestamps.py`."""
    return (
        pl.when(number < 10**11)
        .then(number * 1_000_000)
        .when(number < 10**14)
        .then(number * 1_000)
        .when(number < 10**17)
        .then(number)
        .otherwise(number // 1_000)
    )


def _epoch_us_of_float(number: pl.Expr) -> pl.Expr:
    micro = (
        pl.when(number < 1e11)
        .then(number * 1e6)
        .when(number < 1e14)
        .then(number * 1e3)
        .when(number < 1e17)
        .then(number)
        .otherwise(number / 1e3)
    )
    # Infinity and NaN become null: a row without a time.
    return micro.round().cast(pl.Int64, strict=False)


def _epoch_us_of_text(text: pl.Expr) -> pl.Expr:
    digits = _epoch_us(text.cast(pl.Int64, strict=False))
    iso = text.str.to_datetime(time_unit="us", time_zone="UTC", strict=False).dt.epoch("us")
    return pl.coalesce(digits, iso)
