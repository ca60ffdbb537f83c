"""Gaps: stretches of event time in which an instrument sent nothing.

By event time, never by a clock of ours: a paused replay or a slow disk is not a gap.
"""

from __future__ import annotations

from attrs import frozen

#: No quote and no trade for this long is a gap unless the caller says otherwise.
GAP_US_DEFAULT = 5_000_000


@frozen(slots=True)
class FeedGap:
    """`instrument` was silent from its event at `from_us` until its next one at `to_us`."""

    instrument: str
    from_us: int
    to_us: int


class GapDetector:
    """Remembers the greatest event time of each instrument; one integer an instrument."""

    __slots__ = ("_last_us", "gap_us")

    def __init__(self, gap_us: int = GAP_US_DEFAULT) -> None:
        """A silence of `gap_us` microseconds or more is a gap. Raises ValueError below 1."""
        if gap_us < 1:
            raise ValueError(f"gap_us must be at least 1 microsecond, not {gap_us}")
        self.gap_us = gap_us
        self._last_us: dict[str, int] = {}

    def observe(self, instrument: str, event_us: int) -> FeedGap | None:
        """The gap that this event ends, if it ends one. A late event neither ends nor makes one."""
        last_us = self._last_us.get(instrument)
        if last_us is None:
            self._last_us[instrument] = event_us
            return None
        if event_us <= last_us:
            return None
        self._last_us[instrument] = event_us
        if event_us - last_us >= self.gap_us:
            return FeedGap(instrument, last_us, event_us)
        return None
