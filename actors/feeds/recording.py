"""Reading back what the recorder wrote: one file, one start's folder, or the folder over all.

Rows come in the order in which they arrived, with both of their times; nothing is reordered, for
that order is what the service traded on. The instruments are the recording's own. A file that ends
early (the process was killed) is read to its last whole line, and says so.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from attrs import evolve

from actors.feeds.decoding import NUMBER_MAX
from actors.feeds.errors import MarketFileError, NotClean
from actors.feeds.gaps import GAP_US_DEFAULT, GapDetector
from actors.feeds.lines import LINE_BYTES_MAX, DamagedEndError, Lines, open_bytes
from actors.feeds.report import FeedReport
from actors.feeds.symbols import SymbolIndex
from actors.feeds.timestamps import EVENT_US_MAX
from actors.recording.files import recording_files
from actors.recording.rows import (
    MAGIC,
    Header,
    Lost,
    Quote,
    Row,
    Shed,
    Trade,
    decode_header,
    decode_row,
)
from fsm.instrument import Instrument
from fsm.market import MarketData, MarketTrade, Tick

RECORDING = "recording"
#: The clock offset is the median over the first rows, looked at three times.
_CLOCK_ROWS = 1_000


def is_recording(path: Path) -> bool:
    """Whether this is a recording, or a folder of them. False for what cannot be read."""
    if path.is_dir():
        return bool(recording_files(path))
    try:
        with open_bytes(path) as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except (MarketFileError, EOFError, OSError, zlib.error):
        return False


class RecordedFeed:
    """An iterable of market data; each pass reads the files anew and fills a new `report`.

    `out_of_order` counts rows whose source time is before an earlier one's of the same instrument
    and kind: they came like that, and are delivered like that. `other["shed"]` counts rows that
    the recorded session's full lane refused: it traded without them, a replay does not.
    """

    def __init__(
        self,
        path: Path,
        instruments: Sequence[Instrument] | None = None,
        *,
        strict: bool = False,
        gap_us: int = GAP_US_DEFAULT,
        own_names: bool = False,
    ) -> None:
        """`instruments` None: those that the recording names; `own_names`: every symbol stands for
        itself, to look at a recording and not to trade on it. Raises MarketFileError."""
        self.path = path
        self.report = FeedReport(format=RECORDING)
        self._files = recording_files(path) if path.is_dir() else [path]
        self._strict = strict
        self._gap_us = gap_us
        self._own_names = own_names
        self._sizes = [_size_of(file) for file in self._files]
        self._files_read = 0
        self.feeds: tuple[str, ...] = ()
        recorded = self._recorded()
        self.instruments = tuple(recorded.values()) if instruments is None else tuple(instruments)

    def progress(self) -> tuple[int, int]:
        """(bytes of the files that were read, bytes in all) of the pass that goes on."""
        return sum(self._sizes[: self._files_read]), sum(self._sizes)

    def symbols(self) -> tuple[list[str], bool]:
        """The names in the recording's headers: its rows hold no others."""
        return list(self._recorded()), True

    def _recorded(self) -> dict[str, Instrument]:
        """The instruments of all headers; of two with one name the younger counts."""
        found: dict[str, Instrument] = {}
        feeds: dict[str, None] = {}
        for file in self._files:
            header = self._header(file)
            if header is not None:
                found |= {spec.name: spec for spec in header.instruments}
                feeds |= dict.fromkeys(header.feeds)
        if not found:
            raise MarketFileError(f"{self.path}: the recording ends before its first line is whole")
        self.feeds = tuple(feeds)
        return found

    def _header(self, file: Path) -> Header | None:
        """None for a file that was cut off before anything of it was flushed."""
        try:
            _, line = next(iter(Lines(file)), (0, b""))
        except DamagedEndError:
            return None
        except MarketFileError:
            if file.is_file() and file.stat().st_size == 0:
                return None
            raise
        if not line:
            return None
        try:
            return decode_header(line)
        except ValueError as error:
            raise MarketFileError(f"{file}: {error}") from None

    def __iter__(self) -> Iterator[MarketData]:
        """Yield every quote and trade. Raises MarketFileError (strict: at the first problem)."""
        self.report = report = FeedReport(format=RECORDING)
        gaps = GapDetector(self._gap_us)
        self._files_read = 0
        index = SymbolIndex(self.instruments)
        newest_us: dict[tuple[str, bool], int] = {}
        differences: list[int] = []
        for file in self._files:
            for number, row in self._rows(file, report):
                item = self._item(file, number, row, report)
                if item is None:
                    continue
                name = item.instrument if self._own_names else index.resolve(item.instrument)
                if name is None:
                    report.add_unmatched(item.instrument)
                    continue
                stream = (name, isinstance(item, Tick))
                if item.event_us < newest_us.get(stream, 0):
                    report.out_of_order += 1
                else:
                    newest_us[stream] = item.event_us
                report.quotes += stream[1]
                report.trades += not stream[1]
                if name != item.instrument:
                    item = evolve(item, instrument=name)
                if len(differences) < _CLOCK_ROWS:
                    differences.append(item.event_us - item.recv_us)
                    if len(differences) in (1, _CLOCK_ROWS // 10, _CLOCK_ROWS):
                        report.clock_offset_us = sorted(differences)[len(differences) // 2]
                _observe(name, item.event_us, report, gaps)
                yield item
            self._files_read += 1

    def _rows(self, file: Path, report: FeedReport) -> Iterator[tuple[int, Row]]:
        """The readable rows of one file with their line numbers; damage is reported."""
        if self._header(file) is None:
            report.truncated = True
            report.truncated_message = f"{file.name} was cut off before its first line was flushed"
            self._problem(report, file, 1, report.truncated_message)
            return
        try:
            for number, line in Lines(file):
                if number == 1:
                    continue
                report.rows += 1
                try:
                    if line is None:
                        raise ValueError(f"the line has more than {LINE_BYTES_MAX} bytes")
                    row = decode_row(line)
                except ValueError as error:
                    report.bad_rows += 1
                    self._problem(report, file, number, str(error))
                    continue
                yield number, row
        except DamagedEndError as damage:
            report.truncated = True
            report.corrupt |= "corrupt" in str(damage)
            report.truncated_message = (
                f"{file.name}: {damage}"
                if "corrupt" in str(damage)
                else f"{file.name} ends at line {damage.line}: it is being written, or its process "
                "was killed; everything before was read"
            )
            self._problem(report, file, damage.line, report.truncated_message)

    def _item(self, file: Path, number: int, row: Row, report: FeedReport) -> MarketData | None:
        """The row as the core knows it; marks and impossible numbers are counted instead."""
        if isinstance(row, Shed):
            report.add_other("shed")
            return None
        if isinstance(row, Lost):
            report.lost += row.count
            report.add_other("lost")
            message = f"{row.count} rows of {row.instrument} were not recorded: {row.reason}"
            self._problem(report, file, number, message)
            return None
        try:
            return _checked(row)
        except (ValueError, ArithmeticError) as error:
            report.bad_rows += 1
            self._problem(report, file, number, f"unreadable row: {error}")
            return None

    def _problem(self, report: FeedReport, file: Path, line: int, message: str) -> None:
        named = f"{file.parent.name}/{file.name}: {message}" if self.path.is_dir() else message
        report.add_problem(line, named)
        if self._strict:
            raise NotClean(f"{file}: line {line}", message)


def _size_of(file: Path) -> int:
    """Raises MarketFileError: it may be a dangling link, or was deleted a moment ago."""
    try:
        return file.stat().st_size
    except OSError as problem:
        reason = problem.strerror or problem
        raise MarketFileError(f"{file}: cannot be read: {reason}; take it out of the folder") from (
            problem
        )


def _checked(row: Quote | Trade) -> MarketData:
    for time_us in (row.recv_us, row.event_us):
        if not 0 < time_us < EVENT_US_MAX:
            raise ValueError(f"the time {time_us} is not between 1970 and 2200")
    if isinstance(row, Quote):
        for number in (row.bid, row.ask, row.bid_size, row.ask_size):
            _check_number(number)
        return Tick(
            instrument=row.instrument,
            bid=row.bid,
            ask=row.ask,
            bid_size=row.bid_size,
            ask_size=row.ask_size,
            event_us=row.event_us,
            recv_us=row.recv_us,
        )
    _check_number(row.price)
    _check_number(row.qty)
    return MarketTrade(
        instrument=row.instrument,
        price=row.price,
        qty=row.qty,
        side=row.side,
        event_us=row.event_us,
        recv_us=row.recv_us,
        trade_id=row.trade_id,
    )


def _check_number(number: Decimal | None) -> None:
    if number is not None and not 0 <= number < NUMBER_MAX:
        raise ValueError(f"the number {number} is not from 0 to 1e18")


def _observe(name: str, event_us: int, report: FeedReport, gaps: GapDetector) -> None:
    if report.first_us is None or event_us < report.first_us:
        report.first_us = event_us
    if report.last_us is None or event_us > report.last_us:
        report.last_us = event_us
    gap = gaps.observe(name, event_us)
    if gap is not None:
        report.add_gap(gap)
