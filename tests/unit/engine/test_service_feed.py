"""A feed that fails is no end of the data: the service reads on, or degrades and says so."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import trio
from attrs import evolve

from actors.engine import Engine, EngineSettings
from actors.runtime.clock import SystemClock
from actors.runtime.supervision import Intensity
from actors.service import Service, ServiceOptions
from actors.venues.realtime import InProcessVenue
from actors.venues.sim import SimSettings, SimVenue
from fsm import events as ev
from fsm.market import MarketData, Tick
from fsm.vocabulary import TradingMode
from storage.journal import JournalReader
from tests.unit.engine.handmade import PAIR, RULES, SPOT

D = Decimal
ROWS = 40
PATIENCE_S = 20


@pytest.fixture(autouse=True)
def _the_process_is_left_as_it_was() -> Iterator[None]:
    """The service tunes its process; the other tests must not notice."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)
    gc.unfreeze()


class Rig:
    """A service in real time on a file, with a feed and a venue that a test may break."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "feed.db"
        self.clock = SystemClock()
        opening = {"USD": D(1000), "XRP": D(1000)}
        sim = SimVenue([SPOT], opening, SimSettings(latency_us=100), random.Random(1))
        self.venue = InProcessVenue(sim, self.clock.now_us)
        settings = EngineSettings(
            database=self.database,
            mode=TradingMode.PAPER,
            rules=evolve(RULES, query_timeout_us=1_000_000),
            instruments=(SPOT,),
            opening=opening,
            seed=1,
        )
        self.engine = Engine(settings, self.clock, self.venue)
        self.given = 0

    def rows(self) -> Iterator[MarketData]:
        """So many quotes, all due at once."""
        now_us = self.clock.now_us()
        for number in range(ROWS):
            self.given += 1
            yield Tick(
                instrument=PAIR,
                bid=D(1),
                ask=D("1.01"),
                bid_size=D(1000),
                ask_size=D(1000),
                event_us=now_us + number,
                recv_us=now_us + number,
            )

    async def serve(
        self, market: Iterator[MarketData], until: Callable[[], bool] | None = None
    ) -> Service:
        """Until the service ends by itself, or `until` holds."""
        options = ServiceOptions(
            market=market,
            shutdown_deadline_s=2,
            intensity=Intensity(restarts_max=2, backoff_initial_s=0.001, backoff_max_s=0.002),
        )
        service = Service(self.engine, self.venue, options)

        async def watch() -> None:
            while until is not None and not until():
                await trio.sleep(0.005)
            if until is not None:
                service._stop("the test has seen enough")

        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch)
                await service.run()
                nursery.cancel_scope.cancel()
        self.engine.close()
        return service

    def ended(self) -> list[str]:
        """Why the sessions in the journal ended."""
        reader = JournalReader.open(self.database)
        try:
            found = reader.events(types=("SessionEnded",))
            ends = [each.event for each in found]
            return [end.halt_reason for end in ends if isinstance(end, ev.SessionEnded)]
        finally:
            reader.close()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


async def test_a_feed_that_broke_off_is_no_end_of_the_data_but_degrades_the_service(
    rig: Rig,
) -> None:
    """A generator that raised once says afterwards that it is at its end."""

    def breaks_off() -> Iterator[MarketData]:
        for number, row in enumerate(rig.rows()):
            if number == ROWS // 2:
                raise RuntimeError("the connection to the market is lost")
            yield row

    degraded = False

    def is_seen() -> bool:
        nonlocal degraded
        degraded = degraded or "service/feed" in rig.engine.world.sources
        return degraded or rig.engine.world.mode in ("STOPPING", "STOPPED")

    service = await rig.serve(breaks_off(), is_seen)
    feed = rig.engine.services["feed"]

    assert degraded
    assert ["the test has seen enough"] == rig.ended()
    assert "data_ended" != service.halt_reason
    assert 2 == feed.restarts
    assert not feed.running


async def test_a_raise_in_the_venue_costs_one_datum_and_the_feed_goes_on_to_its_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, seen = rig.venue.market, 0

    def raises_once(data: MarketData) -> None:
        nonlocal seen
        seen += 1
        if seen == ROWS // 2:
            raise RuntimeError("the venue's record cannot be written")
        market(data)

    monkeypatch.setattr(rig.venue, "market", raises_once)
    service = await rig.serve(rig.rows())

    assert "data_ended" == service.halt_reason
    assert (ROWS, ROWS) == (rig.given, seen)
    assert 1 == rig.engine.services["feed"].restarts
    assert ROWS - 1 == rig.engine.world.markets[PAIR].ticks


async def test_a_feed_that_comes_to_its_end_ends_the_session_with_the_data(rig: Rig) -> None:
    service = await rig.serve(rig.rows())

    assert "data_ended" == service.halt_reason
    assert ["data_ended"] == rig.ended()
    assert 0 == rig.engine.services["feed"].restarts
