"""Binance's market streams: frames of `bookTicker`, `trade` and `aggTrade`, spot and USD-M.

One decoder for recorded captures and for live sockets; it knows nothing of either. Depth frames
are read for their clock only. Combined (`{"stream": .., "data": ..}`) and raw frames both do.

Times. `T`, when the matching engine acted, is the event time wherever a frame has it; else `E`,
when the frame was made. Spot book tickers have neither: theirs is the receive time plus the
running clock offset, which is the median of the last `OFFSET_FRAMES` differences between `E` and
the receive time, so that one delayed frame moves nothing. Book tickers of one symbol are never
reordered by that estimate.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal, InvalidOperation

import msgspec

from actors.feeds.decoding import (
    NUMBER_MAX,
    Decoded,
    RecentIds,
    Skipped,
    SkipReason,
    SymbolResolver,
    book_side,
    number_from,
)
from fsm.market import MarketTrade, Tick
from fsm.vocabulary import InstrumentKind, Side

OFFSET_FRAMES = 9
#: An exchange time this far from the receive time is damage, not a slow clock.
CLOCK_DISTANCE_US_MAX = 3_600_000_000
#: The derived time of a quote is held back to its predecessor's by no more than this; a bigger
#: step means that the clock itself was set.
HOLD_US_MAX = 2_000_000


class _Envelope(msgspec.Struct, gc=False):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


class _BookTicker(msgspec.Struct, gc=False):
    u: int
    s: str
    b: Decimal
    B: Decimal
    a: Decimal
    A: Decimal
    T: int = 0
    E: int = 0


class _BookTickerText(msgspec.Struct, gc=False):
    """The same with sides that may be empty: rare, so that the fast one need not know."""

    u: int
    s: str
    b: str = ""
    B: str = ""
    a: str = ""
    A: str = ""
    T: int = 0
    E: int = 0


class _Trade(msgspec.Struct, gc=False):
    s: str
    p: Decimal
    q: Decimal
    m: bool
    T: int
    E: int = 0
    t: int = -1
    a: int = -1


class _Other(msgspec.Struct, gc=False):
    e: str = ""
    E: int = 0
    s: str = ""
    u: int | None = None
    pu: int | None = None
    X: str | None = None
    A: str | None = None
    lastUpdateId: int | None = None  # noqa: N815 - the exchange's spelling


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_book = msgspec.json.Decoder(_BookTicker).decode
_decode_book_text = msgspec.json.Decoder(_BookTickerText).decode
_decode_trade = msgspec.json.Decoder(_Trade).decode
_decode_other = msgspec.json.Decoder(_Other).decode


class BinanceDecoder:
    """Decodes frames; keeps the clock offset, the recent ids and which streams it has seen.

    `resolve` gives the instrument's name for the exchange's symbol, None for a stranger.
    Memory is bounded: two generations of ids a stream.
    """

    def __init__(self, resolve: SymbolResolver) -> None:
        self._resolve = resolve
        self._names: dict[str, str | None] = {}
        self._recent: dict[tuple[str, str], RecentIds] = {}
        self._raw_trades: set[str] = set()
        self._offsets: deque[int] = deque(maxlen=OFFSET_FRAMES)
        self._offset_us: int | None = None
        self._quote_us: dict[str, int] = {}

    @property
    def clock_offset_us(self) -> int | None:
        """The exchange's clock minus ours, None before the first frame with a time."""
        return self._offset_us

    def prime(self, frame: bytes | memoryview, recv_us: int) -> None:
        """Learn from a frame of the near future what decoding needs from the start.

        A capture may open with frames that carry no time, and with aggregate trades whose single
        trades follow. Frames that cannot be read teach nothing.
        """
        try:
            kind, body = self._open(frame)
            known = _decode_other(body)
            if known.E and self._offset_us is None:
                self._observe_clock(known.E, recv_us)
        except (ValueError, RecursionError, msgspec.MsgspecError):
            return
        if kind == "trade":
            self._raw_trades.add(known.s)

    def decode(self, frame: bytes | memoryview, recv_us: int) -> Decoded:
        """One frame, received at `recv_us` by our clock (UTC microseconds).

        Raises ValueError, saying what is unreadable.
        """
        try:
            kind, body = self._open(frame)
            if kind == "bookTicker":
                return self._book_ticker(body, recv_us)
            if kind in ("trade", "aggTrade"):
                return self._trade(kind, body, recv_us)
            return self._other(kind, body, recv_us)
        except msgspec.MsgspecError as error:
            raise ValueError(f"unreadable frame: {error}") from None
        except RecursionError:
            raise ValueError("unreadable frame: nested too deeply") from None
        except InvalidOperation:
            raise ValueError("unreadable frame: a price or size is not a number") from None

    def _open(self, frame: bytes | memoryview) -> tuple[str, bytes | memoryview]:
        """(kind, body): the kind by the stream's name, else by the event's, else by its fields."""
        envelope = _decode_envelope(frame)
        stream = envelope.stream
        body: bytes | memoryview = frame
        if stream:
            body = memoryview(envelope.data)
            kind = stream.partition("@")[2]
            if kind in ("bookTicker", "trade", "aggTrade"):
                return kind, body
        known = _decode_other(body)
        if known.e:
            return known.e, body
        if known.lastUpdateId is not None:
            return "depthSnapshot", body
        if known.u is not None and known.s and known.A is not None:
            return "bookTicker", body
        return "unrecognised", body

    def _book_ticker(self, body: bytes | memoryview, recv_us: int) -> Decoded:
        try:
            book = _decode_book(body)
            bid, bid_size, ask, ask_size = book.b, book.B, book.a, book.A
            plain = (
                0 < bid < NUMBER_MAX
                and 0 < ask < NUMBER_MAX
                and 0 < bid_size < NUMBER_MAX
                and 0 < ask_size < NUMBER_MAX
            )
        except (msgspec.ValidationError, InvalidOperation):
            plain = False
        if not plain:
            return self._book_ticker_odd(_decode_book_text(body), recv_us)
        instrument = self._name_of(book.s)
        if book.E:
            self._observe_clock(book.E, recv_us)
        if instrument is None:
            return Skipped(SkipReason.UNMATCHED, book.s)
        if self._is_repeat("bookTicker", book.s, book.u):
            return Skipped(SkipReason.DUPLICATE, f"book update {book.u} of {book.s}")
        return Tick(
            instrument=instrument,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            event_us=self._quote_time(book, recv_us),
            recv_us=recv_us,
        )

    def _book_ticker_odd(self, book: _BookTickerText, recv_us: int) -> Decoded:
        """A book ticker with an empty side, or with a number that is none (ValueError)."""
        bid, bid_size = book_side(number_from(book.b, "bid"), number_from(book.B, "bid size"))
        ask, ask_size = book_side(number_from(book.a, "ask"), number_from(book.A, "ask size"))
        instrument = self._name_of(book.s)
        if instrument is None:
            return Skipped(SkipReason.UNMATCHED, book.s)
        if self._is_repeat("bookTicker", book.s, book.u):
            return Skipped(SkipReason.DUPLICATE, f"book update {book.u} of {book.s}")
        return Tick(
            instrument=instrument,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            event_us=self._quote_time(book, recv_us),
            recv_us=recv_us,
        )

    def _quote_time(self, book: _BookTicker | _BookTickerText, recv_us: int) -> int:
        if book.T or book.E:
            return _checked_us(book.T or book.E, recv_us)
        event_us = recv_us + (self._offset_us or 0)
        last_us = self._quote_us.get(book.s, 0)
        if last_us - HOLD_US_MAX < event_us < last_us:
            return last_us
        self._quote_us[book.s] = event_us
        return event_us

    def _trade(self, kind: str, body: bytes | memoryview, recv_us: int) -> Decoded:
        trade = _decode_trade(body)
        if trade.E:
            self._observe_clock(trade.E, recv_us)
        instrument = self._name_of(trade.s)
        if instrument is None:
            return Skipped(SkipReason.UNMATCHED, trade.s)
        if kind == "trade":
            self._raw_trades.add(trade.s)
            trade_id = trade.t
        elif trade.s in self._raw_trades:
            # The single trades of this symbol come too: both would count each trade twice.
            return Skipped(SkipReason.OTHER, "aggTrade")
        else:
            trade_id = trade.a
        if trade_id < 0:
            raise ValueError(f"a {kind} frame without its id")
        if not (0 <= trade.p < NUMBER_MAX and 0 <= trade.q < NUMBER_MAX):
            raise ValueError(f"{kind} {trade_id}: price {trade.p} or size {trade.q} is impossible")
        if not trade.p or not trade.q:
            # USD-M marks transfers of the insurance fund this way: not a trade on the market.
            return Skipped(SkipReason.OTHER, "zeroTrade")
        event_us = _checked_us(trade.T, recv_us)
        if self._is_repeat(kind, trade.s, trade_id):
            return Skipped(SkipReason.DUPLICATE, f"{kind} {trade_id} of {trade.s}")
        return MarketTrade(
            instrument=instrument,
            price=trade.p,
            qty=trade.q,
            # `m`: the buyer was the maker, so the taker sold.
            side=Side.SELL if trade.m else Side.BUY,
            event_us=event_us,
            recv_us=recv_us,
            trade_id=str(trade_id),
        )

    def _other(self, kind: str, body: bytes | memoryview, recv_us: int) -> Decoded:
        known = _decode_other(body)
        if known.E:
            self._observe_clock(known.E, recv_us)
        return Skipped(SkipReason.OTHER, kind)

    def _observe_clock(self, exchange_ms: int, recv_us: int) -> None:
        offsets = self._offsets
        offsets.append(_checked_us(exchange_ms, recv_us) - recv_us)
        self._offset_us = sorted(offsets)[len(offsets) // 2]

    def _name_of(self, symbol: str) -> str | None:
        try:
            return self._names[symbol]
        except KeyError:
            name = self._resolve(symbol)
            if len(self._names) < 10_000:  # more symbols than exist: do not remember damage (L9)
                self._names[symbol] = name
            return name

    def _is_repeat(self, kind: str, symbol: str, number: int) -> bool:
        recent = self._recent.get((kind, symbol))
        if recent is None:
            recent = self._recent[kind, symbol] = RecentIds()
        return not recent.add(number)


def _checked_us(exchange_ms: int, recv_us: int) -> int:
    """Milliseconds, or microseconds where the stream was asked for them, as microseconds."""
    event_us = exchange_ms * 1_000 if exchange_ms < 10**14 else exchange_ms
    if abs(event_us - recv_us) > CLOCK_DISTANCE_US_MAX:
        raise ValueError("the exchange's time is more than an hour from the time of receipt")
    return event_us


def market_kind(frame: bytes) -> tuple[str, InstrumentKind] | None:
    """(symbol, spot or perpetual) if this frame tells; None if it does not or is unreadable.

    USD-M differs from spot by `pu` in depth frames, `e` in book tickers, `X` in trades.
    """
    try:
        envelope = _decode_envelope(frame)
        known = _decode_other(memoryview(envelope.data) if envelope.stream else frame)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    if not known.s:
        return None
    if known.e == "depthUpdate":
        margined = known.pu is not None
    elif known.e == "trade":
        margined = known.X is not None
    elif known.e in ("", "bookTicker"):
        margined = bool(known.e)
    else:
        return None
    return known.s, InstrumentKind.PERPETUAL if margined else InstrumentKind.SPOT
