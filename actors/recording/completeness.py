"""How complete a recording is: for each feed and window what arrived, was recorded, was lost.

Everything that arrived is either recorded or lost: `received == recorded + lost`, in every window
and for every instrument. Windows go by receive time, in multiples of their length; a window in
which nothing arrived has no line, and the gap that it belongs to counts where it ended. These are
figures about the recorder, not facts about trading: they are not journaled, and the same session
recorded or not has the same journal.

Also the clock: how far the source's clock is from ours, by what arrives. Not thread-safe: one
thread adds, and hands out finished documents.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
from attrs import define, field

from fsm.timestamps import SECOND_US, iso_utc

WINDOWS_KEPT = 60
INSTRUMENTS_MAX = 1_000
FURTHER = "(further)"
#: So many of the last differences between source and receive time make the median.
CLOCK_SAMPLES = 501
_CLOCK_EVEN_US = 1_000


@define(slots=True)
class Counts:
    """What became of the rows of one instrument. `shed` rows are recorded, but the engine's full
    lane refused them; `gaps` counts silences that ended here."""

    recorded: int = 0
    lost: int = 0
    shed: int = 0
    gaps: int = 0

    def add(self, other: Counts) -> None:
        """Take the other's figures in."""
        self.recorded += other.recorded
        self.lost += other.lost
        self.shed += other.shed
        self.gaps += other.gaps

    def document(self) -> dict[str, Any]:
        """For the state document and for the lines beside a recording."""
        return {
            "received": self.recorded + self.lost,
            "recorded": self.recorded,
            "lost": self.lost,
            "shed": self.shed,
            "gaps": self.gaps,
        }


@define(slots=True)
class FeedCompleteness:
    """One feed's figures: since the start, in the window that runs, and in the last ones."""

    name: str
    window_us: int
    total: dict[str, Counts] = field(factory=dict)
    window: dict[str, Counts] = field(factory=dict)
    window_number: int = -1
    closed: deque[dict[str, Any]] = field(factory=lambda: deque(maxlen=WINDOWS_KEPT))
    unwritten: deque[dict[str, Any]] = field(factory=lambda: deque(maxlen=WINDOWS_KEPT))
    differences: deque[int] = field(factory=lambda: deque(maxlen=CLOCK_SAMPLES))

    def add(self, window: int, instrument: str, counts: Counts) -> None:
        """Count; a younger window closes the one before it, an older one counts to the running."""
        if window > self.window_number:
            self.close_window()
            self.window_number = window
        for figures in (self.total, self.window):
            name = instrument
            if name not in figures and len(figures) >= INSTRUMENTS_MAX:
                name = FURTHER
            known = figures.get(name)
            if known is None:
                known = figures[name] = Counts()
            known.add(counts)

    def close_window(self) -> None:
        """What has been counted since the last window began becomes a line."""
        if self.window:
            line = self.running()
            self.closed.append(_without_instruments(line))
            self.unwritten.append(line)
        self.window = {}

    def running(self) -> dict[str, Any]:
        """The window that runs, as a line."""
        from_us = self.window_number * self.window_us
        return {
            "feed": self.name,
            "from": iso_utc(from_us),
            "to": iso_utc(from_us + self.window_us),
            **summed(self.window).document(),
            "clock_offset_ms": self.clock_offset_ms(),
            "instruments": {name: counts.document() for name, counts in self.window.items()},
        }

    def clock_offset_us(self) -> int | None:
        """The source's clock minus ours: the median of source time minus receive time, None
        before the first row. The way here makes it smaller than it is."""
        ordered = sorted(self.differences)
        return ordered[len(ordered) // 2] if ordered else None

    def clock_offset_ms(self) -> float | None:
        """The same in milliseconds."""
        offset_us = self.clock_offset_us()
        return None if offset_us is None else round(offset_us / 1_000, 3)

    def document(self) -> dict[str, Any]:
        """Everything, without the instruments of past windows."""
        return {
            **summed(self.total).document(),
            "clock_offset_ms": self.clock_offset_ms(),
            "clock": clock_in_words(self.clock_offset_us()),
            "instruments": {name: counts.document() for name, counts in self.total.items()},
            "windows": [
                *self.closed,
                *([_without_instruments(self.running())] if self.window else []),
            ],
        }


@define(slots=True)
class Completeness:
    """All feeds of one recorder."""

    window_us: int
    feeds: dict[str, FeedCompleteness] = field(factory=dict)

    def feed(self, name: str) -> FeedCompleteness:
        """A feed's figures, made at its first use."""
        found = self.feeds.get(name)
        if found is None:
            found = self.feeds[name] = FeedCompleteness(name, self.window_us)
        return found

    def total(self) -> Counts:
        """Over all feeds, since the start."""
        return summed({name: summed(feed.total) for name, feed in self.feeds.items()})

    def close_windows(self) -> None:
        """The end: the windows that run are closed as they are."""
        for feed in self.feeds.values():
            feed.close_window()

    def lines(self) -> list[bytes]:
        """The lines of closed windows that are not written yet; `written` forgets them."""
        return [
            msgspec.json.encode(line) + b"\n"
            for feed in self.feeds.values()
            for line in feed.unwritten
        ]

    def written(self) -> None:
        """The lines are on disk."""
        for feed in self.feeds.values():
            feed.unwritten.clear()

    def document(self) -> dict[str, Any]:
        """Feed name -> its figures."""
        return {name: feed.document() for name, feed in self.feeds.items()}


def _without_instruments(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in ("feed", "instruments")}


def summed(figures: dict[str, Counts]) -> Counts:
    """All of them together."""
    total = Counts()
    for counts in figures.values():
        total.add(counts)
    return total


def clock_in_words(offset_us: int | None, *, whose: str = "the source's") -> str:
    """What a person reads of a clock offset (the source's clock minus ours).

    Ahead of us can only be a clock; behind us may be the way of the data as well.
    """
    if offset_us is None:
        return "not measured yet"
    if abs(offset_us) < _CLOCK_EVEN_US:
        return f"our clock and {whose} agree within 1 ms"
    amount = _amount(abs(offset_us))
    if offset_us > 0:
        return f"our clock is {amount} behind {whose}"
    return f"our clock is {amount} ahead of {whose}, the way of the data included"


def _amount(us: int) -> str:
    return f"{us / SECOND_US:.1f} s" if us >= SECOND_US else f"{us / 1_000:.0f} ms"
