"""What a market data file held: every row is in exactly one count, nothing is lost in silence (L9).

Responsible for counting and for the wording of a summary; what counts as what is decided by the
decoders and by `files.py`.
"""

from __future__ import annotations

from attrs import define, field

from actors.feeds.gaps import FeedGap

#: Enough to find the damage; a file that is all damage must not fill the memory (L9).
PROBLEMS_MAX = 100
GAPS_MAX = 1_000
NAMES_MAX = 100
_REST = "(further)"


@define(slots=True, kw_only=True)
class FeedReport:
    """Counts of one pass over one file, filled while the pass goes on.

    `rows == quotes + trades + sum(other) + unmatched + duplicates + bad_rows`; CSV headers and
    empty lines are no rows. `other` counts readable rows that carry neither quote nor trade, by
    kind. `unmatched` rows name a symbol that no instrument answers to. `out_of_order` rows are
    delivered all the same (and counted as quote or trade too); `late` of them came behind the
    reorder window, so that they were delivered after younger rows. `reordered` rows of different
    streams crossed each other by less than the window and were put in order: no damage.
    `clock_offset_us` is the exchange's clock minus the local one where the file shows both.
    `problems` holds the first `PROBLEMS_MAX` of `problems_total` as (number, message); the numbers
    are lines, or rows where `place` says so (parquet, JSON). `symbol_from` tells where the symbol
    comes from when no column has it.
    """

    format: str
    place: str = "line"
    symbol_from: str | None = None
    rows: int = 0
    quotes: int = 0
    trades: int = 0
    other: dict[str, int] = field(factory=dict)
    unmatched: int = 0
    unmatched_symbols: dict[str, int] = field(factory=dict)
    bad_rows: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    late: int = 0
    reordered: int = 0
    corrupt: bool = False
    """Whether a recording's file is not just cut off but unreadable from some place on."""
    lost: int = 0
    """Rows that a recording says it could not hold; they are not among its rows."""
    gaps: int = 0
    gap_list: list[FeedGap] = field(factory=list)
    longest_gap: FeedGap | None = None
    first_us: int | None = None
    last_us: int | None = None
    clock_offset_us: int | None = None
    truncated: bool = False
    truncated_message: str | None = None
    problems: list[tuple[int, str]] = field(factory=list)
    problems_total: int = 0

    def add_problem(self, line: int, message: str) -> None:
        """Count a problem and keep it while there is room."""
        self.problems_total += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append((line, message))

    def add_other(self, kind: str) -> None:
        """Count a readable row that is neither quote nor trade."""
        _count_name(self.other, kind)

    def add_unmatched(self, symbol: str) -> None:
        """Count a row whose symbol no instrument answers to."""
        self.unmatched += 1
        _count_name(self.unmatched_symbols, symbol)

    def add_gap(self, gap: FeedGap) -> None:
        """Count a gap and keep it while there is room."""
        self.gaps += 1
        longest = self.longest_gap
        if longest is None or gap.to_us - gap.from_us > longest.to_us - longest.from_us:
            self.longest_gap = gap
        if len(self.gap_list) < GAPS_MAX:
            self.gap_list.append(gap)

    @property
    def is_clean(self) -> bool:
        """True when strict mode would have read the whole file."""
        return self.problems_total == 0 and not self.truncated

    def summary(self) -> str:
        """One line for people: the counts that are not zero."""
        counts = {
            "quotes": self.quotes,
            "trades": self.trades,
            "other": sum(self.other.values()),
            "unmatched": self.unmatched,
            "bad rows": self.bad_rows,
            "duplicates": self.duplicates,
            "out of order": self.out_of_order,
            "gaps": self.gaps,
        }
        parts = [f"{count:,} {name}" for name, count in counts.items() if count]
        text = f"{self.format}: {self.rows:,} rows: {', '.join(parts) or 'nothing'}"
        return f"{text}; {self.truncated_message}" if self.truncated_message else text


def _count_name(counts: dict[str, int], name: str) -> None:
    """Names come from the file, so their number is bounded: the rest shares one entry."""
    name = name[:40]
    if name not in counts and len(counts) >= NAMES_MAX:
        name = _REST
    counts[name] = counts.get(name, 0) + 1
