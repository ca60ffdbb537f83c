"""The recording's rows: what a line of a recording says, for the writer and for the reader alike.

A file is JSON lines in one gzip member. Its first line is the header: an object with the
instruments. Every other line is an array that begins with its kind:

- `["q", feed, recv_us, event_us, instrument, bid, ask, bid_size, ask_size]`, a quote: the best bid
  and ask, which is all of the book that the service is given. A missing side is null.
- `["t", feed, recv_us, event_us, instrument, price, qty, side, trade_id]`, a public trade.
- `["s", feed, recv_us, event_us, instrument]`: the row of this feed just before was shed by a full
  lane, so that the service traded without having seen it.
- `["l", feed, from_us, to_us, instrument, count, reason]`: so many were lost to the recorder.

Numbers are JSON strings, exactly as the source gave them (L11). Not responsible for files.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from fsm.instrument import Instrument
from fsm.market import MarketData, MarketTrade, Tick
from fsm.vocabulary import Side

VERSION = 1
#: How the first line of every recording begins.
MAGIC = b'{"holdfast":"recording",'
#: A newer version begins like this too, and is refused by its number.
_ROWS_A_CALL = 64


class Header(msgspec.Struct, kw_only=True, frozen=True):
    """The first line of a file. `opened_at_us` is the receive time of its first row."""

    holdfast: str = "recording"
    version: int = VERSION
    session: str
    number: int
    opened_at_us: int
    feeds: tuple[str, ...]
    instruments: tuple[Instrument, ...]


class Quote(msgspec.Struct, array_like=True, tag="q", gc=False):
    """A best bid and ask."""

    feed: str
    recv_us: int
    event_us: int
    instrument: str
    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None


class Trade(msgspec.Struct, array_like=True, tag="t", gc=False):
    """A public trade."""

    feed: str
    recv_us: int
    event_us: int
    instrument: str
    price: Decimal
    qty: Decimal
    side: Side | None
    trade_id: str | None


class Shed(msgspec.Struct, array_like=True, tag="s", gc=False):
    """The feed's row just before did not reach the engine: its lane was full."""

    feed: str
    recv_us: int
    event_us: int
    instrument: str


class Lost(msgspec.Struct, array_like=True, tag="l", gc=False):
    """Rows that arrived between two receive times and could not be recorded."""

    feed: str
    from_us: int
    to_us: int
    instrument: str
    count: int
    reason: str


Row = Quote | Trade | Shed | Lost
Recordable = MarketData | Shed

_encoder = msgspec.json.Encoder()
_decode_row = msgspec.json.Decoder(Row).decode
_decode_header = msgspec.json.Decoder(Header).decode


def encode_header(header: Header) -> bytes:
    """The header's line, with its end."""
    return _encoder.encode(header) + b"\n"


def decode_header(line: bytes) -> Header:
    """Raises ValueError, saying what is wrong, for a line that is no header we can read."""
    try:
        version = msgspec.json.decode(line, type=dict[str, Any]).get("version")
        if isinstance(version, int) and version > VERSION:
            raise ValueError(
                f"the recording has version {version}, this holdfast reads {VERSION}: "
                "use the newer one"
            )
        header = _decode_header(line)
    except msgspec.MsgspecError as error:
        raise ValueError(f"the recording's first line cannot be read: {error}") from None
    for spec in header.instruments:
        if not (spec.price_tick > 0 and spec.qty_step > 0 and spec.max_leverage >= 1):
            raise ValueError(f"the recording's first line: impossible steps of {spec.name}")
    return header


def row_of(feed: str, data: Recordable) -> Any:
    """What the encoder takes: a plain tuple, which costs less than a row's own class."""
    kind = type(data)
    if kind is Tick:
        assert isinstance(data, Tick)
        return (
            "q",
            feed,
            data.recv_us,
            data.event_us,
            data.instrument,
            data.bid,
            data.ask,
            data.bid_size,
            data.ask_size,
        )
    if kind is MarketTrade:
        assert isinstance(data, MarketTrade)
        return (
            "t",
            feed,
            data.recv_us,
            data.event_us,
            data.instrument,
            data.price,
            data.qty,
            data.side,
            data.trade_id,
        )
    return data


def encode_rows(rows: Sequence[Any]) -> bytes:
    """Lines with their ends. In small calls: each keeps the interpreter lock to its end."""
    if len(rows) <= _ROWS_A_CALL:
        return _encoder.encode_lines(rows)
    starts = range(0, len(rows), _ROWS_A_CALL)
    return b"".join(_encoder.encode_lines(rows[at : at + _ROWS_A_CALL]) for at in starts)


def decode_row(line: bytes | memoryview) -> Row:
    """Raises ValueError, saying what is unreadable."""
    try:
        row: Row = _decode_row(line)
    except (msgspec.MsgspecError, ArithmeticError) as error:
        raise ValueError(f"unreadable row: {error}") from None
    return row
