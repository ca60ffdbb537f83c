"""Recorded market data: one door for every format, streamed in bounded memory.

`open_market_file` recognises the format and gives an iterable of `MarketData` in event-time order
with a `FeedReport`. Pacing a replay is the service's business, not ours; so is a symbol that
matches nothing while a position is open on it.

Order. Rows go through a reorder window of 2 s of event time (at most 10,000 rows). Streams of one
capture may cross each other within it: that is no damage (`reordered`). A row older than the one
before it in its own stream (capture: instrument and kind; CSV: the whole file), or too old for
the window, is `out_of_order`: counted, reported with its line, and still delivered with its true
time, in order if the window allows and late if not (`late`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from actors.feeds.binance import market_kind
from actors.feeds.capture import CaptureDecoder, split_capture_line
from actors.feeds.decoding import LineDecoder, Skipped, SkipReason, SymbolResolver
from actors.feeds.errors import MarketFileError
from actors.feeds.gaps import GAP_US_DEFAULT, GapDetector
from actors.feeds.lines import LINE_BYTES_MAX, DamagedEndError, read_lines
from actors.feeds.quotes_csv import QuotesDecoder
from actors.feeds.recognition import CAPTURE, FORMATS, QUOTES, Recognised, recognise
from actors.feeds.recording import RecordedFeed, is_recording
from actors.feeds.reorder import ReorderBuffer
from actors.feeds.report import FeedReport
from actors.feeds.symbols import SymbolIndex, derive_instrument
from actors.feeds.trades_csv import TradesDecoder
from fsm.instrument import Instrument
from fsm.market import MarketData, Tick
from fsm.vocabulary import InstrumentKind

__all__ = [
    "FORMATS",
    "FeedReport",
    "MarketFile",
    "MarketFileError",
    "RecordedFeed",
    "derive_instruments",
    "open_market_file",
]


def open_market_file(
    path: str | Path,
    instruments: Sequence[Instrument] | None = None,
    *,
    format: str | None = None,  # noqa: A002 - as the command line's --format
    strict: bool = False,
    gap_us: int = GAP_US_DEFAULT,
) -> MarketFile | RecordedFeed:
    """Look at the file's head and get ready to read it.

    Without `instruments` they are derived from the file. `format` (one of `FORMATS`) overrides
    recognition. `strict` makes iteration raise at the first unreadable, repeated or out-of-order
    row; a symbol that nobody answers to is not damage. A silence of `gap_us` is a gap.

    Raises MarketFileError when the file cannot be read or is of no readable format.
    """
    path = Path(path)
    if is_recording(path):
        return RecordedFeed(path, instruments, strict=strict, gap_us=gap_us)
    found = recognise(path, format)
    _decoder(path, found, lambda symbol: symbol)  # a header without a column is told now
    if instruments is None:
        instruments = _derive(path, found)
    return MarketFile(path, found, instruments, strict=strict, gap_us=gap_us)


def derive_instruments(
    path: str | Path,
    format: str | None = None,  # noqa: A002 - as the command line's --format
) -> list[Instrument]:
    """Instruments for the symbols in the first 1,000 lines: BTCUSDT gives BTC/USDT.

    Steps are the decimals seen, the kind is what the frames show (spot where they do not).
    Raises MarketFileError when the file is unusable or no symbol can be split in base and quote.
    """
    path = Path(path)
    if is_recording(path):
        return list(RecordedFeed(path).instruments)
    return _derive(path, recognise(path, format))


class MarketFile:
    """An iterable of market data; each pass reads the file anew and fills a new `report`."""

    def __init__(
        self,
        path: Path,
        found: Recognised,
        instruments: Sequence[Instrument],
        *,
        strict: bool = False,
        gap_us: int = GAP_US_DEFAULT,
    ) -> None:
        self.path = path
        self.instruments = tuple(instruments)
        self.report = FeedReport(format=found.format)
        self._found = found
        self._strict = strict
        self._gap_us = gap_us

    def __iter__(self) -> Iterator[MarketData]:
        """Yield every quote and trade. Raises MarketFileError (strict: at the first problem)."""
        self.report = report = FeedReport(format=self._found.format)
        buffer = ReorderBuffer()
        gaps = GapDetector(self._gap_us)
        for _ in self._fill(buffer, report):
            for item in buffer.ready():
                _observe(item, report, gaps)
                yield item
        for item in buffer.rest():
            _observe(item, report, gaps)
            yield item

    def _fill(self, buffer: ReorderBuffer, report: FeedReport) -> Iterator[None]:
        """Push row by row into the buffer; yields after each, so that the ready ones can leave."""
        decoder = _decoder(self.path, self._found, SymbolIndex(self.instruments).resolve)
        decode_line = decoder.decode_line
        header_line = self._found.header_line
        one_stream = self._found.format != CAPTURE
        newest_us: dict[tuple[str, bool] | None, int] = {}
        try:
            for number, line in read_lines(self.path):
                if number == header_line:
                    continue
                report.rows += 1
                try:
                    if line is None:
                        raise ValueError(f"the line has more than {LINE_BYTES_MAX} bytes")
                    item = decode_line(line)
                except MarketFileError as error:  # a symbol that fits several instruments
                    raise MarketFileError(f"{self.path}: line {number}: {error}") from None
                except ValueError as error:
                    report.bad_rows += 1
                    self._problem(report, number, str(error))
                    continue
                if isinstance(item, Skipped):
                    self._skip(report, number, item)
                    continue
                is_tick = isinstance(item, Tick)
                if is_tick:
                    report.quotes += 1
                else:
                    report.trades += 1
                stream = None if one_stream else (item.instrument, is_tick)
                stream_us = newest_us.get(stream, 0)
                if item.event_us >= stream_us:
                    newest_us[stream] = item.event_us
                self._order(report, number, item, buffer, stream_us)
                yield
        except DamagedEndError as damage:
            report.truncated = True
            report.truncated_message = str(damage)
            self._problem(report, damage.line, str(damage))
        finally:
            report.clock_offset_us = decoder.clock_offset_us()

    def _order(
        self,
        report: FeedReport,
        number: int,
        item: MarketData,
        buffer: ReorderBuffer,
        stream_us: int,
    ) -> None:
        crossed = item.event_us < buffer.newest_us
        in_time = buffer.push(item)
        if not crossed:
            return
        if in_time and item.event_us >= stream_us:
            report.reordered += 1
            return
        report.out_of_order += 1
        report.late += not in_time
        behind_us = buffer.newest_us - item.event_us
        self._problem(report, number, f"out of order: {behind_us} us behind an earlier row")

    def _skip(self, report: FeedReport, number: int, skipped: Skipped) -> None:
        if skipped.reason is SkipReason.OTHER:
            report.add_other(skipped.what)
        elif skipped.reason is SkipReason.UNMATCHED:
            report.add_unmatched(skipped.what)
        else:
            report.duplicates += 1
            self._problem(report, number, f"duplicate: {skipped.what}")

    def _problem(self, report: FeedReport, number: int, message: str) -> None:
        report.add_problem(number, message)
        if self._strict:
            raise MarketFileError(
                f"{self.path}: line {number}: {message}; "
                "repair the file, or read it without --strict"
            )


def _observe(item: MarketData, report: FeedReport, gaps: GapDetector) -> None:
    event_us = item.event_us
    if report.first_us is None or event_us < report.first_us:
        report.first_us = event_us
    if report.last_us is None or event_us > report.last_us:
        report.last_us = event_us
    gap = gaps.observe(item.instrument, event_us)
    if gap is not None:
        report.add_gap(gap)


def _decoder(path: Path, found: Recognised, resolve: SymbolResolver) -> LineDecoder:
    if found.format == CAPTURE:
        return CaptureDecoder(resolve, found.head)
    try:
        return (QuotesDecoder if found.format == QUOTES else TradesDecoder)(resolve, found.header)
    except ValueError as error:
        raise MarketFileError(f"{path}: line {found.header_line}: {error}") from None


def _derive(path: Path, found: Recognised) -> list[Instrument]:
    """Decode the head with every symbol standing for itself, and look at the numbers."""
    decoder = _decoder(path, found, lambda symbol: symbol)
    prices: dict[str, list[Decimal]] = {}
    sizes: dict[str, list[Decimal]] = {}
    for line in found.head:
        try:
            item = decoder.decode_line(line)
        except ValueError:
            continue  # reading the file counts it, with its line number
        if isinstance(item, Skipped):
            continue
        seen = (item.bid, item.ask) if isinstance(item, Tick) else (item.price,)
        moved = (item.bid_size, item.ask_size) if isinstance(item, Tick) else (item.qty,)
        prices.setdefault(item.instrument, []).extend(n for n in seen if n is not None)
        sizes.setdefault(item.instrument, []).extend(n for n in moved if n is not None)
    if not prices:
        raise MarketFileError(f"{path}: no readable quote or trade in its first lines")
    kinds = _kinds(found)
    derived: dict[str, Instrument] = {}
    for symbol, seen_prices in prices.items():
        kind = kinds.get(symbol, InstrumentKind.SPOT)
        instrument = derive_instrument(symbol, seen_prices, sizes[symbol], kind)
        if instrument is not None:
            derived.setdefault(instrument.name, instrument)
    if not derived:
        raise MarketFileError(
            f"{path}: cannot tell base and quote of {', '.join(list(prices)[:5])}: "
            "name the instruments in the configuration"
        )
    return list(derived.values())


def _kinds(found: Recognised) -> dict[str, InstrumentKind]:
    kinds: dict[str, InstrumentKind] = {}
    if found.format == CAPTURE:
        for line in found.head:
            try:
                told = market_kind(split_capture_line(line)[1])
            except ValueError:
                continue
            if told is not None:
                kinds.setdefault(*told)
    return kinds
