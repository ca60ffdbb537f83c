"""Prediction windows: a markets file, JSONL, one window a line.

A window asks whether the price at its end is at least the strike. It opens at `start_sec`, closes
at `end_sec`, and settles on a price feed (`price_feed.py`). The official outcome stands, whatever a
recomputation from the feed gives. Prices from before a window opens are not data for it.

Responsible for reading and validating the file, and for holding windows and feed against each
other. Instruments for windows are made elsewhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import closing
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import msgspec
from attrs import define, field, frozen

from actors.feeds.decoding import number_from
from actors.feeds.errors import MarketFileError, NotClean
from actors.feeds.lines import LINE_BYTES_MAX, DamagedEndError, Lines
from actors.feeds.price_feed import scaled_price
from actors.feeds.report import PROBLEMS_MAX
from actors.feeds.timestamps import EVENT_US_MAX
from fsm.timestamps import SECOND_US

WINDOWS_MAX = 200_000
_FIELDS = (b'"start_sec"', b'"strike_value"')


class WindowOutcome(StrEnum):
    """How a window ended, as its operator says."""

    UP = "up"
    DOWN = "down"


@frozen(slots=True, kw_only=True)
class WindowFees:
    """The fee schedule as published: `rate` and `exponent` of its formula, and who pays."""

    rate: Decimal
    exponent: int
    taker_only: bool


@frozen(slots=True, kw_only=True)
class PredictionWindow:
    """One window. Times are UTC microseconds, `end_us` is the first one after it.

    `strike` is the price that decides, None where the file has none; `outcome` is the official
    one, None while it is open. `name` is the market's own (its slug), unique in a file.
    """

    name: str
    asset: str
    start_us: int
    end_us: int
    strike: Decimal | None
    outcome: WindowOutcome | None
    fees: WindowFees | None = None

    def holds(self, event_us: int) -> bool:
        """True when a price of this time is data for the window."""
        return self.start_us <= event_us < self.end_us


@define(slots=True, kw_only=True)
class WindowsFile:
    """What a markets file held. `windows` are in order of their start.

    `rows == len(windows) + bad_rows + duplicates`; `problems` are the first ones, with their lines;
    `newest_us` is the latest start.
    """

    path: Path
    windows: tuple[PredictionWindow, ...] = ()
    rows: int = 0
    bad_rows: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    truncated_message: str | None = None
    newest_us: int = 0
    problems: list[tuple[int, str]] = field(factory=list)
    problems_total: int = 0

    @property
    def is_clean(self) -> bool:
        """True when every line was a window, each once."""
        return self.problems_total == 0

    def gaps(self) -> list[tuple[int, int]]:
        """(from, to) in microseconds of the stretches between windows that no window covers."""
        found: list[tuple[int, int]] = []
        end_us: int | None = None
        for window in self.windows:
            if end_us is not None and window.start_us > end_us:
                found.append((end_us, window.start_us))
            end_us = window.end_us if end_us is None else max(end_us, window.end_us)
        return found

    def note(self, line: int, message: str) -> None:
        """Count a problem and keep it while there is room."""
        self.problems_total += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append((line, message))


class _Fees(msgspec.Struct):
    rate: Decimal
    exponent: int = 1
    takerOnly: bool = True  # noqa: N815 - the operator's spelling


class _Raw(msgspec.Struct):
    feeSchedule: _Fees | None = None  # noqa: N815


class _Row(msgspec.Struct):
    start_sec: int
    end_sec: int
    strike_value: str | int | None = None
    outcome_prices: list[str] | None = None
    slug: str = ""
    asset: str = ""
    raw: _Raw | None = None


_decode_row = msgspec.json.Decoder(_Row).decode


def looks_like_windows(line: bytes) -> bool:
    """True when a line is, or begins, a window of a markets file."""
    return all(name in line for name in _FIELDS)


def read_windows(path: str | Path, *, strict: bool = False) -> WindowsFile:
    """Read a markets file; lines that are no window are counted with their number.

    Raises MarketFileError when the file cannot be read, holds no window at all or too many, or
    (strict) at the first bad line.
    """
    path = Path(path)
    found = WindowsFile(path=path)
    windows: dict[str, PredictionWindow] = {}
    try:
        with closing(iter(Lines(path))) as lines:
            for number, line in lines:
                found.rows += 1
                problem = _take(line, found, windows)
                if problem is not None:
                    _note(found, number, problem, strict=strict)
                if len(windows) > WINDOWS_MAX:
                    raise MarketFileError(
                        f"{path}: more than {WINDOWS_MAX:,} windows: split the file"
                    )
    except DamagedEndError as damage:
        found.truncated_message = str(damage)
        _note(found, damage.line, str(damage), strict=strict)
    if not windows:
        first = (
            f"line {found.problems[0][0]}: {found.problems[0][1]}" if found.problems else "empty"
        )
        raise MarketFileError(f"{path}: no prediction window in it ({first}): nothing to read")
    found.windows = tuple(sorted(windows.values(), key=lambda w: (w.start_us, w.end_us, w.name)))
    return found


def _take(
    line: bytes | None, found: WindowsFile, windows: dict[str, PredictionWindow]
) -> str | None:
    """Add one line's window; what is wrong with it, if something is."""
    try:
        if line is None:
            raise ValueError(f"the line has more than {LINE_BYTES_MAX} bytes")
        window = _window(line)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        found.bad_rows += 1
        return str(error)
    if window.name in windows:
        found.duplicates += 1
        return f"duplicate: window {window.name}"
    windows[window.name] = window
    if window.start_us < found.newest_us:
        found.out_of_order += 1
        return f"out of order: window {window.name} starts before an earlier line's"
    found.newest_us = window.start_us
    return None


def _note(found: WindowsFile, number: int, problem: str, *, strict: bool) -> None:
    found.note(number, problem)
    if strict:
        raise NotClean(f"{found.path}: line {number}", problem)


def _window(line: bytes) -> PredictionWindow:
    row = _decode_row(line)
    start_us, end_us = row.start_sec * SECOND_US, row.end_sec * SECOND_US
    if not 0 < start_us < end_us < EVENT_US_MAX:
        raise ValueError(f"start_sec {row.start_sec} and end_sec {row.end_sec} are no window")
    strike = None
    if row.strike_value is not None:
        strike = scaled_price(str(row.strike_value), "strike_value")
    fees = None
    if row.raw is not None and row.raw.feeSchedule is not None:
        given = row.raw.feeSchedule
        fees = WindowFees(rate=given.rate, exponent=given.exponent, taker_only=given.takerOnly)
    return PredictionWindow(
        name=row.slug or f"{row.asset or 'window'}-{row.start_sec}",
        asset=row.asset.upper(),
        start_us=start_us,
        end_us=end_us,
        strike=strike,
        outcome=_outcome(row.outcome_prices),
        fees=fees,
    )


def _outcome(prices: list[str] | None) -> WindowOutcome | None:
    """The official outcome: what pays 1. None while neither does."""
    if prices is None:
        return None
    if len(prices) != 2:
        raise ValueError(f"outcome_prices holds {len(prices)} prices where a window has two")
    up, down = (number_from(price, "outcome price") for price in prices)
    if up is None or down is None or not (up <= 1 and down <= 1):
        raise ValueError(f"outcome_prices {prices} are not two numbers from 0 to 1")
    if up == 1 and not down:
        return WindowOutcome.UP
    return WindowOutcome.DOWN if down == 1 and not up else None


@define(slots=True)
class Coverage:
    """How a price feed covers one window.

    `prices` counts its seconds with a price, `longest_silence_us` the longest stretch without one,
    its edges included; `settled` is the outcome that the feed's price at the end gives, None where
    it has none.
    """

    window: PredictionWindow
    prices: int = 0
    longest_silence_us: int = 0
    settled: WindowOutcome | None = None
    last_us: int | None = None

    @property
    def share(self) -> float:
        """Prices per second of the window."""
        return self.prices * SECOND_US / (self.window.end_us - self.window.start_us)

    @property
    def disagrees(self) -> bool:
        """True when the feed settles it otherwise than the operator did, who has the last word."""
        official = self.window.outcome
        return None not in (official, self.settled) and official is not self.settled


class CoverageCount:
    """Counts the prices of each window while the feed goes by in order of time."""

    def __init__(self, windows: Sequence[PredictionWindow]) -> None:
        self.found = [Coverage(window) for window in windows]
        self._starts = [window.start_us for window in windows]
        longest_us = max((w.end_us - w.start_us for w in windows), default=0)
        self._longest_us = longest_us
        self._ends: dict[int, list[Coverage]] = {}
        for coverage in self.found:
            self._ends.setdefault(coverage.window.end_us, []).append(coverage)

    def observe(self, event_us: int, price: Decimal) -> None:
        """One price of the feed."""
        for coverage in self._ends.get(event_us, ()):
            strike = coverage.window.strike
            if strike is not None:
                coverage.settled = WindowOutcome.UP if price >= strike else WindowOutcome.DOWN
        # Windows are sorted by start: those that may hold this time end at this place.
        place = bisect_right(self._starts, event_us)
        while place and self._starts[place - 1] > event_us - self._longest_us:
            place -= 1
            coverage = self.found[place]
            if coverage.window.holds(event_us):
                coverage.prices += 1
                self._silence(coverage, event_us)

    def finish(self) -> list[Coverage]:
        """The coverages with their last silences."""
        for coverage in self.found:
            self._silence(coverage, coverage.window.end_us)
        return self.found

    def _silence(self, coverage: Coverage, until_us: int) -> None:
        since_us = coverage.window.start_us if coverage.last_us is None else coverage.last_us
        coverage.longest_silence_us = max(coverage.longest_silence_us, until_us - since_us)
        coverage.last_us = until_us


def outcome_counts(windows: Iterable[PredictionWindow]) -> dict[str, int]:
    """How many windows ended how; `open` where no official outcome is known."""
    counts = {"up": 0, "down": 0, "open": 0}
    for window in windows:
        counts["open" if window.outcome is None else str(window.outcome)] += 1
    return counts
