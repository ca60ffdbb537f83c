"""When a row of market data is due, and recorded rows played as if they came now.

Not responsible for waiting: the service and the recorder do that, each by its own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import evolve

from actors.feeds.recording import RecordedFeed
from fsm.market import MarketData


def due_by(source: object) -> Callable[[MarketData], int]:
    """A recording goes by the times at which its rows were received, in the order in which they
    came; every other source by its own time."""
    return _received_at if isinstance(source, RecordedFeed) else _happened_at


def _happened_at(row: MarketData) -> int:
    return row.event_us


def _received_at(row: MarketData) -> int:
    return row.recv_us


def moved_to_now(
    rows: Iterator[MarketData],
    due_us: Callable[[MarketData], int],
    start_us: int,
    factor: float = 1.0,
) -> Iterator[MarketData]:
    """Rows moved so that the first is due at `start_us`, their distances divided by the factor.

    How far a row's source time is from its receive time stays: the clocks are not played faster.
    """
    first_us = None
    for row in rows:
        recorded_us = due_us(row)
        if first_us is None:
            first_us = recorded_us
        moved_us = start_us + round((recorded_us - first_us) / factor) - recorded_us
        yield evolve(row, event_us=row.event_us + moved_us, recv_us=row.recv_us + moved_us)
