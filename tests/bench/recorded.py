"""The ticks of a replay, the same for both sides: recorded where they are, else synthetic.

The recording is a capture of Binance's BTCUSDT perpetual that lies beside the source tree; it is
played again and again, each time after the last, until there are enough ticks. Times are moved to
the engines' own start; prices and sizes are as they were.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from attrs import evolve, frozen

from actors.feeds.files import open_market_file
from actors.feeds.synthetic import SyntheticMarket
from fsm.market import Tick
from fsm.timestamps import SECOND_US
from tests.bench.sizes import BID, START_US
from tests.engines import BITCOIN

_CAPTURE = "binance_usdm_btcusdt_20240808.capture.gz"
_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data" / "market"


@frozen
class Recorded:
    """Ticks in time order, and how many of them are different recorded ones."""

    ticks: list[Tick]
    recorded: int
    """0 where the recording is not there and the ticks are made up."""


def recorded_ticks(count: int, beside: Path = _BESIDE) -> Recorded:
    """`count` two-sided quotes of one instrument, the first a second after the engines' start."""
    assert count > 0, "a replay needs a tick"
    path = beside / _CAPTURE
    if not path.is_file():
        return Recorded(_synthetic(count), 0)
    once = list(islice(_quotes_of(path), count))
    lap_us = once[-1].event_us - once[0].event_us + SECOND_US
    ticks: list[Tick] = []
    while len(ticks) < count:
        shift_us = START_US + SECOND_US - once[0].event_us + lap_us * (len(ticks) // len(once))
        ticks += (
            evolve(tick, event_us=tick.event_us + shift_us, recv_us=tick.event_us + shift_us)
            for tick in once[: count - len(ticks)]
        )
    return Recorded(ticks, len(once))


def _quotes_of(path: Path) -> Iterator[Tick]:
    found = open_market_file(path, [BITCOIN])
    return (data for data in found if isinstance(data, Tick) and data.bid and data.ask)


def _synthetic(count: int) -> list[Tick]:
    market = SyntheticMarket(
        [BITCOIN], random.Random(1), START_US + SECOND_US, start_prices={BITCOIN.name: BID}
    )
    return list(islice((data for data in market if isinstance(data, Tick)), count))
