"""Recorded market data: one door for every format, streamed in bounded memory.

`open_market_file` recognises the format and gives an iterable of `MarketData` in event-time order
with a `FeedReport`. Pacing a replay is the service's business, not ours; so is a symbol that
matches nothing while a position is open on it.

Order. Rows go through a reorder window of 2 s of event time (at most 10,000 rows). Streams of one
capture may cross each other within it: that is no damage (`reordered`). A row older than the one
before it in its own stream (capture: instrument and kind; parquet: instrument; CSV: the whole
file), or too old for the window, is `out_of_order`: counted, reported with its line, and still
delivered with its true time, in order if the window allows and late if not (`late`). A source that
sorts by itself (parquet that lies in another order, JSON) says so and needs no window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from actors.feeds.decoding import SYMBOLS_MAX, Skipped, SkipReason, SymbolResolver
from actors.feeds.derivation import derive_from
from actors.feeds.errors import MarketFileError, NotClean
from actors.feeds.gaps import GAP_US_DEFAULT, GapDetector
from actors.feeds.lines import DamagedEndError
from actors.feeds.recognition import FORMATS, Recognised, recognise
from actors.feeds.recording import RecordedFeed, is_recording
from actors.feeds.reorder import ReorderBuffer
from actors.feeds.report import FeedReport
from actors.feeds.row_sources import RowSource
from actors.feeds.sources import SourceMaker
from actors.feeds.symbols import SymbolIndex
from fsm.instrument import Instrument
from fsm.market import MarketData, Tick

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
    symbol: str | None = None,
    own_names: bool = False,
) -> MarketFile | RecordedFeed:
    """Look at the file's head and get ready to read it.

    Without `instruments` they are derived from the file; with `own_names` there are none, and each
    symbol stands for itself (to look at a file, not to trade on it; at most `SYMBOLS_MAX` of
    them). `format` (one of `FORMATS`) overrides recognition. `symbol` names all rows of a file
    whose rows name none. `strict` makes iteration raise at the first unreadable, repeated or
    out-of-order row; a symbol that nobody answers to is not damage. A silence of `gap_us` is a gap.

    Raises MarketFileError when the file cannot be read or is of no readable format.
    """
    path = Path(path)
    if is_recording(path):
        return RecordedFeed(path, instruments, strict=strict, gap_us=gap_us, own_names=own_names)
    found = recognise(path, format)
    maker = SourceMaker(path, found, symbol)  # a header without a column is told now
    if own_names:
        instruments = ()
    elif instruments is None:
        instruments = derive_from(maker)
    return MarketFile(maker, instruments, strict=strict, gap_us=gap_us, own_names=own_names)


def derive_instruments(
    path: str | Path,
    format: str | None = None,  # noqa: A002 - as the command line's --format
    symbol: str | None = None,
) -> list[Instrument]:
    """Instruments for the symbols in the first 1,000 rows: BTCUSDT gives BTC/USDT.

    Steps are the decimals seen, the kind is what the frames show (spot where they do not).
    Raises MarketFileError when the file is unusable or no symbol can be split in base and quote.
    """
    path = Path(path)
    if is_recording(path):
        return list(RecordedFeed(path).instruments)
    return derive_from(SourceMaker(path, recognise(path, format), symbol))


class MarketFile:
    """An iterable of market data; each pass reads the file anew and fills a new `report`."""

    def __init__(
        self,
        maker: SourceMaker,
        instruments: Sequence[Instrument],
        *,
        strict: bool = False,
        gap_us: int = GAP_US_DEFAULT,
        own_names: bool = False,
    ) -> None:
        self.path = maker.path
        self.instruments = tuple(instruments)
        self.report = maker.report()
        self._maker = maker
        self._strict = strict
        self._gap_us = gap_us
        self._own_names = own_names
        self._source: RowSource | None = None

    @property
    def found(self) -> Recognised:
        """What the file was recognised as."""
        return self._maker.found

    def progress(self) -> tuple[int, int]:
        """(done, all) of the pass that goes on, in bytes or rows; (0, 0) before the first."""
        return (0, 0) if self._source is None else self._source.progress()

    def symbols(self) -> tuple[list[str], bool]:
        """The symbols that the file writes, and whether these are all of them."""
        return self._maker.symbols()

    def __iter__(self) -> Iterator[MarketData]:
        """Yield every quote and trade. Raises MarketFileError (strict: at the first problem)."""
        self.report = report = self._maker.report()
        gaps = GapDetector(self._gap_us)
        for item in self._ordered(report):
            event_us = item.event_us
            if report.last_us is None or report.first_us is None:
                report.first_us = report.last_us = event_us
            elif event_us > report.last_us:
                report.last_us = event_us
            elif event_us < report.first_us:
                report.first_us = event_us
            gap = gaps.observe(item.instrument, event_us)
            if gap is not None:
                report.add_gap(gap)
            yield item

    def _resolver(self) -> SymbolResolver:
        if not self._own_names:
            return SymbolIndex(self.instruments).resolve
        known: set[str] = set()

        def itself(symbol: str) -> str | None:
            if len(known) < SYMBOLS_MAX:
                known.add(symbol)
            return symbol if symbol in known else None

        return itself

    def _ordered(self, report: FeedReport) -> Iterator[MarketData]:
        """The rows in event-time order, counted."""
        self._source = source = self._maker.source(self._resolver())
        window = ReorderBuffer()
        newest_us: dict[tuple[str, bool], int] = {}
        crossing = source.streams_cross
        ordered: bool | None = None
        try:
            with closing(source.rows()) as rows:
                for number, item in rows:
                    if isinstance(item, Skipped):
                        self._skip(report, number, item)
                        continue
                    report.rows += 1
                    is_tick = isinstance(item, Tick)
                    if is_tick:
                        report.quotes += 1
                    else:
                        report.trades += 1
                    if ordered is None:
                        ordered = source.is_ordered
                    if ordered:
                        yield item
                        continue
                    event_us = item.event_us
                    if crossing:
                        stream = item.instrument, is_tick
                        stream_us = newest_us.get(stream, 0)
                        if event_us >= stream_us:
                            newest_us[stream] = event_us
                    if event_us < window.newest_us:
                        own = crossing and event_us >= stream_us
                        self._crossed(report, number, event_us, window, within_own=own)
                    yield from window.push(item)
        except DamagedEndError as damage:
            report.truncated = True
            report.truncated_message = str(damage)
            self._problem(report, damage.line, str(damage))
        finally:
            report.clock_offset_us = source.clock_offset_us()
        yield from window.rest()

    def _crossed(
        self,
        report: FeedReport,
        number: int,
        event_us: int,
        window: ReorderBuffer,
        *,
        within_own: bool,
    ) -> None:
        """A row behind a younger one; `within_own`: not one of its own stream."""
        in_time = event_us >= window.released_us
        if in_time and within_own:
            report.reordered += 1
            return
        report.out_of_order += 1
        report.late += not in_time
        behind_us = window.newest_us - event_us
        self._problem(report, number, f"out of order: {behind_us} us behind an earlier row")

    def _skip(self, report: FeedReport, number: int, skipped: Skipped) -> None:
        if skipped.reason is SkipReason.DISORDER:
            report.out_of_order += 1
            self._problem(report, number, skipped.what)
            return
        report.rows += 1
        if skipped.reason is SkipReason.OTHER:
            report.add_other(skipped.what)
        elif skipped.reason is SkipReason.UNMATCHED:
            report.add_unmatched(skipped.what)
        elif skipped.reason is SkipReason.UNREADABLE:
            report.bad_rows += 1
            self._problem(report, number, skipped.what)
        else:
            report.duplicates += 1
            self._problem(report, number, f"duplicate: {skipped.what}")

    def _problem(self, report: FeedReport, number: int, message: str) -> None:
        report.add_problem(number, message)
        if self._strict:
            raise NotClean(f"{self.path}: {report.place} {number}", message)
