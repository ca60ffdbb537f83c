"""Outages of the venue, of its queries, of its stream, and replicas that lag (L2, L3, L4, L9)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from fsm import events as ev
from tests.model.mutations import unavailable_is_absent
from tests.outage.network import FAIR, Weather
from tests.outage.rig import Rig

SILENT = Weather(requests=False, queries=False, stream=False)
DOWN = Weather(requests=False, queries=False, stream=False, told=True)
NO_QUERIES = Weather(queries=False, told=True)
NO_STREAM = Weather(stream=False)
DEAF = Weather(queries=False, stream=False, told=True)
LAGS = Weather(lag_s=3)
#: (what, weather, seconds of it)
OUTAGES = [
    ("down for a second", DOWN, 1),
    ("down for a minute", DOWN, 60),
    ("down for twenty minutes", DOWN, 1200),
    ("silent for a second", SILENT, 1),
    ("silent for a minute", SILENT, 60),
    ("silent for twenty minutes", SILENT, 1200),
    ("queries fail", NO_QUERIES, 600),
    ("the stream is dead", NO_STREAM, 600),
    ("nothing is heard", DEAF, 120),
    ("requests are lost", Weather(requests=False), 60),
    ("a replica lags", LAGS, 600),
]
#: What a query that failed can never be the reason of.
_BY_EVIDENCE = {"never_arrived", "found_open", "canceled", "expired", "rejected", "held"}
_IDS = [what for what, _, _ in OUTAGES]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger.disable("actors")
    yield
    logger.enable("actors")


def live_through(rig: Rig, weather: Weather, seconds: int) -> list[str]:
    """Trade, then through the outage; what the books had meanwhile that the venue had not."""
    rig.trade(240)
    exchange = rig.network.venue.exchange
    fills = exchange.trade_number
    found: list[str] = []
    rig.network.becomes(weather)
    for _ in range(max(seconds // 10, 1)):
        rig.trade(min(seconds, 10))
        found += rig.phantoms()
    rig.network.becomes(FAIR)
    assert seconds < 60 or exchange.trade_number > fills, "the venue filled meanwhile"
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 3])
@pytest.mark.parametrize(("weather", "seconds"), [o[1:] for o in OUTAGES], ids=_IDS)
def test_after_an_outage_the_books_equal_the_venue_within_two_passes(
    tmp_path: Path, weather: Weather, seconds: int, seed: int
) -> None:
    rig = Rig(tmp_path, seed)
    assert [] == live_through(rig, weather, seconds)
    rig.rest(passes=2)
    assert [] == rig.differences()
    rig.resume()
    rig.trade(max(60, 1500 - seconds))
    rig.rest(passes=2)
    assert [] == rig.differences()
    rig.proven()


@pytest.mark.parametrize("weather", [DOWN, NO_STREAM, LAGS], ids=["down", "no stream", "lags"])
def test_after_a_minute_of_it_too(tmp_path: Path, weather: Weather) -> None:
    rig = Rig(tmp_path, seed=3)
    assert [] == live_through(rig, weather, 60)
    rig.rest(passes=2)
    assert [] == rig.differences()
    rig.proven()


def test_an_engine_that_takes_a_failure_for_an_absence_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unavailable_is_absent(monkeypatch)
    rig = Rig(tmp_path, seed=1)
    assert live_through(rig, DEAF, 120)
    rig.engine.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_while_nothing_is_heard_no_evidence_is_invented(tmp_path: Path, seed: int) -> None:
    rig = Rig(tmp_path, seed)
    rig.trade(120)
    during = rig.outage(DOWN, 300)
    moved = [e for e in during if isinstance(e, ev.OrderMoved) and e.trigger in _BY_EVIDENCE]
    told = [e for e in during if isinstance(e, (ev.OrderFilled, ev.OrderAcknowledged))]
    assert ([], []) == (moved, told)
    rig.rest(passes=2)
    assert [] == rig.differences()
    rig.proven()


@pytest.mark.parametrize("weather", [DOWN, SILENT, NO_QUERIES], ids=["down", "silent", "queries"])
def test_queries_back_off_while_they_fail(tmp_path: Path, weather: Weather) -> None:
    """A pass over two instruments asks three times, one over the books twice more; the first come
    every 30 s at most, the second every 60 s. An exit in doubt would be asked for each second."""
    rig = Rig(tmp_path, seed=1, canary=False, stops=False)
    rig.trade(120)
    rig.is_trading = False
    rig.network.becomes(weather)
    before = rig.network.queries
    rig.trade(1200)
    asked = rig.network.queries - before
    assert 3 * 1200 // 60 < asked < 3 * (1200 // 30 + 12) + 5 * (1200 // 60), asked
    rig.network.becomes(FAIR)
    rig.rest(passes=2)
    assert [] == rig.differences()
    rig.proven()
