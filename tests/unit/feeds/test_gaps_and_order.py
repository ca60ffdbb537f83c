"""Gap detection, the reorder buffer and the memory of ids, each by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.feeds.decoding import RecentIds
from actors.feeds.gaps import FeedGap, GapDetector
from actors.feeds.reorder import ReorderBuffer
from fsm.market import Tick


def tick(event_us: int) -> Tick:
    return Tick(
        instrument="A",
        bid=None,
        ask=None,
        bid_size=None,
        ask_size=None,
        event_us=event_us,
        recv_us=event_us,
    )


def test_gap_is_the_silence_between_two_events_of_one_instrument() -> None:
    gaps = GapDetector(1_000)
    seen = [gaps.observe("A", 0), gaps.observe("B", 900), gaps.observe("A", 999)]
    assert [None, None, None] == seen
    assert FeedGap("A", 999, 1_999) == gaps.observe("A", 1_999)


def test_late_event_neither_ends_nor_makes_a_gap() -> None:
    gaps = GapDetector(1_000)
    assert [None, None, None] == [gaps.observe("A", us) for us in (5_000, 100, 5_500)]


def test_gap_of_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="gap_us"):
        GapDetector(0)


@given(st.lists(st.integers(1, 100_000), max_size=300), st.integers(1, 20))
def test_buffer_loses_nothing_and_admits_every_disorder(times: list[int], items_max: int) -> None:
    buffer = ReorderBuffer(window_us=5_000, items_max=items_max)
    out: list[int] = []
    late = 0
    for event_us in times:
        late += event_us < buffer.released_us
        out.extend(item.event_us for item in buffer.push(tick(event_us)))
        assert items_max >= len(buffer)
    out.extend(item.event_us for item in buffer.rest())
    assert sorted(times) == sorted(out)
    if not late:
        assert sorted(times) == out


def test_recent_ids_forget_but_not_the_last_ones() -> None:
    recent = RecentIds(capacity=10)
    assert all(recent.add(number) for number in range(100))
    assert not any(recent.add(number) for number in range(90, 100))
    assert recent.add(0)
