"""Kraken's answer to `Trades`: one JSON document, its trades an array each.

`[price, volume, time, "b" or "s", "m" or "l", misc, trade id]`; answers of before 2022 have no
trade id. An answer holds at most a thousand trades, so that it is read in one piece; a larger file
than `FILE_BYTES_MAX` is refused.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from actors.feeds.decoding import (
    Decoded,
    Names,
    PositiveNumbers,
    RecentIds,
    Skipped,
    SkipReason,
    SymbolResolver,
)
from actors.feeds.errors import MarketFileError
from actors.feeds.lines import open_bytes
from actors.feeds.row_sources import Rows
from actors.feeds.timestamps import timestamp_us
from actors.feeds.trades_csv import taker_side
from fsm.market import MarketTrade

FILE_BYTES_MAX = 64 * 1024 * 1024
_LAST = "last"


class _Answer(msgspec.Struct):
    error: list[str] = []
    result: dict[str, msgspec.Raw] = {}


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
# Numbers keep their digits as text: a time as a float would lose some.
_decode_row = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


def looks_like_kraken(beginning: bytes) -> bool:
    """True when a JSON document begins as Kraken's answers do."""
    return b'"error"' in beginning and (b'"result"' in beginning or beginning.count(b'"') < 12)


class KrakenSource:
    """The trades of one answer, in order of time; numbered from 1 over all its pairs."""

    is_ordered = True
    streams_cross = False

    def __init__(self, path: Path, resolve: SymbolResolver) -> None:
        """Raises MarketFileError: no such document, an error instead of trades, too large."""
        self._path = path
        self._names = Names(resolve)
        self._recent = RecentIds()
        self._prices, self._sizes = PositiveNumbers("price"), PositiveNumbers("volume")
        self._pairs = _pairs(path)
        self._total = sum(len(rows) for rows in self._pairs.values())
        self._done = 0

    def rows(self) -> Rows:
        """See `RowSource`."""
        number, found = 0, []
        for pair, rows in self._pairs.items():
            newest_us = 0
            for raw in rows:
                number += 1
                item = self._decode(pair, raw, number)
                if not isinstance(item, MarketTrade):
                    yield number, item
                    continue
                if item.event_us < newest_us:
                    behind = f"{newest_us - item.event_us} us behind an earlier row"
                    yield number, Skipped(SkipReason.DISORDER, f"out of order: {behind}")
                newest_us = max(newest_us, item.event_us)
                found.append((number, item))
        found.sort(key=lambda row: row[1].event_us)
        for row in found:
            self._done += 1
            yield row

    def _decode(self, pair: str, raw: msgspec.Raw, number: int) -> Decoded:
        try:
            return self._trade(pair, _decode_row(raw))
        except MarketFileError as error:  # a symbol that fits several instruments
            raise MarketFileError(f"{self._path}: row {number}: {error}") from None
        except (ValueError, msgspec.MsgspecError) as error:
            return Skipped(SkipReason.UNREADABLE, f"{pair}: {error}")

    def _trade(self, pair: str, fields: list[msgspec.Raw]) -> Decoded:
        if not 6 <= len(fields) <= 7:
            raise ValueError(f"{len(fields)} fields where a trade has 6 or 7")
        price, qty = self._prices[_text(fields[0])], self._sizes[_text(fields[1])]
        assert price is not None
        assert qty is not None
        event_us = timestamp_us(_text(fields[2]))
        side = taker_side(_text(fields[3]))
        trade_id = _text(fields[6]) if len(fields) == 7 else ""
        instrument = self._names[pair]
        if instrument is None:
            return Skipped(SkipReason.UNMATCHED, pair)
        member: object = trade_id or (event_us, price, qty, side)
        if not self._recent.add((pair, member)):
            return Skipped(SkipReason.DUPLICATE, f"trade {trade_id or 'row'} of {pair}")
        return MarketTrade(
            instrument=instrument,
            price=price,
            qty=qty,
            side=side,
            event_us=event_us,
            recv_us=event_us,
            trade_id=trade_id or None,
        )

    def sample(self) -> Iterator[Decoded]:
        """See `RowSource`."""
        return (item for _, item in self.rows())

    def symbols(self) -> list[str] | None:
        """See `RowSource`."""
        return list(self._pairs)

    def clock_offset_us(self) -> int | None:
        """None: the answer shows Kraken's clock only."""
        return None

    def progress(self) -> tuple[int, int]:
        """See `RowSource`: rows."""
        return self._done, self._total


def _text(raw: msgspec.Raw) -> str:
    """A string's content, or a number as it is written."""
    written = bytes(raw)
    return _decode_text(written) if written[:1] == b'"' else written.decode("ascii")


def _pairs(path: Path) -> dict[str, list[msgspec.Raw]]:
    try:
        with open_bytes(path) as stream:
            content = stream.read(FILE_BYTES_MAX + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise MarketFileError(
            f"{path}: the compressed file is cut off or corrupt ({error}): fetch it again"
        ) from None
    except OSError as error:
        raise MarketFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(content) > FILE_BYTES_MAX:
        raise MarketFileError(
            f"{path}: more than {FILE_BYTES_MAX >> 20} MB in one JSON document: split it, Kraken "
            "answers with a thousand trades at a time"
        )
    try:
        answer = _decode_answer(content)
        if answer.error:
            raise MarketFileError(
                f"{path}: Kraken answered with an error instead of trades: "
                f"{'; '.join(answer.error)[:200]}: ask for them again"
            )
        pairs = {pair: _decode_rows(raw) for pair, raw in answer.result.items() if pair != _LAST}
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise MarketFileError(
            f"{path}: not a whole Kraken Trades response ({error}): fetch it again"
        ) from None
    if not any(pairs.values()):
        raise MarketFileError(f"{path}: Kraken's response holds no trade: nothing to read")
    return pairs
