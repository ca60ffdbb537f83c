"""A look at a market data file before anyone trades on it: what it holds, and a verdict.

Reads the whole file once through the feed that a replay uses, with every symbol standing for
itself. Bounded: a count and a time for each of at most `SYMBOLS_MAX` symbols, and fixed tables of
silences. Printing is the command's business.

Gaps are told twice. A gap of one instrument is what `feed_gaps` records in a run. An outage is a
stretch in which no instrument sent anything; where a source speaks in a rhythm of its own (a
collector that asks every two minutes), only a silence of twice that rhythm is one. Between the two
are the stretches in which most instruments fell silent together (`presence.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from attrs import define, field, frozen

from actors.feeds.files import MarketFile, RecordedFeed, open_market_file
from actors.feeds.gaps import GAP_US_DEFAULT
from actors.feeds.presence import Presence
from actors.feeds.recording import RECORDING
from actors.feeds.report import FeedReport
from actors.feeds.silences import Silence, Silences
from actors.feeds.windows import Coverage, CoverageCount, WindowsFile
from fsm.market import Tick
from fsm.timestamps import SECOND_US

_ROWS_BETWEEN_REPORTS = 4_096
_BEYOND_RHYTHM = 2

OnProgress = Callable[[int, int, int], None]


class Verdict(StrEnum):
    """Whether one may trade on a file."""

    GOOD = "good"
    #: What was found is dealt with while reading, or only has to be known.
    USABLE = "usable"
    DAMAGED = "damaged"


@define(slots=True)
class DataCheck:
    """What a file held. `report` counts rows as a run would; the rest is what a person asks."""

    path: Path
    report: FeedReport
    gap_us: int
    instruments: dict[str, int] = field(factory=dict)
    own: Silences = field(init=False)
    whole: Silences = field(init=False)
    presence: Presence = field(factory=Presence)
    no_bid: int = 0
    no_ask: int = 0
    no_side: int = 0
    crossed: int = 0
    windows: WindowsFile | None = None
    coverage: list[Coverage] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.own, self.whole = Silences(self.gap_us), Silences(self.gap_us)

    def top(self, count: int) -> list[tuple[str, int]]:
        """(name, rows) of the instruments with the most rows."""
        return sorted(self.instruments.items(), key=lambda pair: (-pair[1], pair[0]))[:count]

    @property
    def outage_us(self) -> int:
        """From this length on a silence of the whole file is an outage."""
        return max(self.gap_us, _BEYOND_RHYTHM * self.whole.usual_s() * SECOND_US)

    def outages(self) -> list[Silence]:
        """Stretches without any row, the longest first."""
        return self.whole.longest(self.outage_us)

    def beyond_rhythm(self) -> int:
        """Silences of one instrument that are at least twice as long as usual, and a gap."""
        gap_s = -(-self.gap_us // SECOND_US)
        return self.own.at_least(max(gap_s, _BEYOND_RHYTHM * self.own.usual_s()))


@frozen(slots=True)
class Judgement:
    """The verdict, and why."""

    verdict: Verdict
    reasons: tuple[str, ...]


def check_file(
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - as the command line's --format
    strict: bool = False,
    gap_us: int = GAP_US_DEFAULT,
    symbol: str | None = None,
    windows: WindowsFile | None = None,
    on_progress: OnProgress = lambda rows, done, total: None,
) -> DataCheck:
    """Read the whole file and count. `on_progress` hears (rows, done, all) now and then.

    `windows` are held against the file, which is then their price feed. Raises MarketFileError as
    `open_market_file` and, with `strict`, at the first problem.
    """
    path = Path(path)
    file = open_market_file(
        path, format=format, strict=strict, gap_us=gap_us, symbol=symbol, own_names=True
    )
    check = DataCheck(path, file.report, gap_us)
    check.windows = windows
    _read(file, check, on_progress)
    return check


def _read(file: MarketFile | RecordedFeed, check: DataCheck, on_progress: OnProgress) -> None:
    counts = check.instruments
    last_us: dict[str, int] = {}
    newest_us = 0
    own, whole, present = check.own.observe, check.whole.observe, check.presence.observe
    coverage = None if check.windows is None else CoverageCount(check.windows.windows)
    rows = 0
    for item in file:
        name, event_us = item.instrument, item.event_us
        before_us = last_us.get(name)
        if before_us is None:
            counts[name] = 0
            last_us[name] = event_us
            present(None, event_us)
        elif event_us > before_us:
            own(before_us, event_us)
            present(before_us, event_us)
            last_us[name] = event_us
        counts[name] += 1
        if event_us > newest_us:
            if newest_us:
                whole(newest_us, event_us)
            newest_us = event_us
        if isinstance(item, Tick):
            bid, ask = item.bid, item.ask
            if bid is None:
                check.no_bid += 1
                check.no_side += ask is None
            elif ask is not None and bid > ask:
                check.crossed += 1
            check.no_ask += ask is None
            if coverage is not None and bid is not None:
                coverage.observe(event_us, bid)
        rows += 1
        if rows % _ROWS_BETWEEN_REPORTS == 0:
            on_progress(rows, *file.progress())
    on_progress(rows, *file.progress())
    check.report = file.report
    if coverage is not None:
        check.coverage = coverage.finish()


def judge(check: DataCheck) -> Judgement:
    """May one trade on it? Damage first, then what has to be known."""
    report = check.report
    damage = _damage(report)
    if check.windows is not None and check.windows.problems_total:
        damage.append(f"{counted(check.windows.problems_total, 'problem')} in the windows file")
    if damage:
        return Judgement(Verdict.DAMAGED, tuple(damage))
    reasons: list[str] = []
    if report.truncated:  # of a recording: it is being written, or its recorder was killed
        reasons.append("a recording ends early: it holds what was flushed")
    if report.lost:
        reasons.append(f"{counted(report.lost, 'row')} were never recorded")
    if not report.quotes:
        reasons.append("trades only: entries and stops go by quotes")
    if report.duplicates:
        reasons.append(f"{counted(report.duplicates, 'duplicate')} dropped")
    if report.out_of_order:
        done = "delivered as they came" if report.format == RECORDING else "put in order"
        reasons.append(f"{counted(report.out_of_order, 'row')} out of order, {done}")
    if check.crossed:
        reasons.append(f"{counted(check.crossed, 'quote')} with a bid above the ask")
    outages, thin = len(check.outages()), len(check.presence.thinnings())
    if thin:
        reasons.append(f"{counted(thin, 'stretch', 'es')} in which most instruments fell silent")
    if outages and report.quotes:  # nobody has to trade: only quotes are expected to go on
        reasons.append(f"{counted(outages, 'outage')} of the whole file")
    elif report.gaps and report.quotes:
        reasons.append(f"{counted(report.gaps, 'gap')} of single instruments")
    if report.quotes and 10 * max(check.no_bid, check.no_ask) > report.quotes:
        share = max(check.no_bid, check.no_ask) / report.quotes
        reasons.append(f"{share:.0%} of the quotes lack a side")
    reasons += _about_windows(check)
    return Judgement(Verdict.USABLE if reasons else Verdict.GOOD, tuple(reasons))


def counted(number: int, what: str, plural: str = "s") -> str:
    """`1 gap`, `2 gaps`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}{plural}"


def _damage(report: FeedReport) -> list[str]:
    damage: list[str] = []
    if report.truncated and (report.format != RECORDING or report.corrupt):
        damage.append("the file ends early")
    if report.bad_rows:
        damage.append(counted(report.bad_rows, "unreadable row"))
    if report.late:
        damage.append(f"{counted(report.late, 'row')} too late to be put in order")
    if not report.quotes + report.trades:
        damage.append("no quote and no trade in it")
    if report.unmatched:
        damage.append(f"{counted(report.unmatched, 'row')} of more symbols than can be counted")
    return damage


def _about_windows(check: DataCheck) -> list[str]:
    found: list[str] = []
    uncovered = sum(1 for coverage in check.coverage if not coverage.prices)
    if uncovered:
        found.append(f"{counted(uncovered, 'window')} without any price")
    other = sum(1 for coverage in check.coverage if coverage.disagrees)
    if other:
        found.append(
            f"{counted(other, 'window')} settled otherwise by the feed, the official outcome stands"
        )
    return found
